"""`python -m crypto_pipeline.cluster.spark_executor`: become an executor in a pod of its own.

Spark starts an executor's pod with the one argument `executor` and says the rest by variables
(its class BasicExecutorFeatureStep); the entry point of the image leads here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from crypto_pipeline import settings as settings_module
from crypto_pipeline.cluster.spark_server import SHIPPED_JARS
from crypto_pipeline.embedded import java
from crypto_pipeline.embedded.spark_server import pyspark_home
from crypto_pipeline.errors import PipelineError, SettingsError

MAIN_CLASS = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
JAVA_OPTION = "SPARK_JAVA_OPT_"
# What the backend must be told, and by which variable Spark says it.
ARGUMENTS = {
    "--driver-url": "SPARK_DRIVER_URL",
    "--executor-id": "SPARK_EXECUTOR_ID",
    "--cores": "SPARK_EXECUTOR_CORES",
    "--app-id": "SPARK_APPLICATION_ID",
    "--hostname": "SPARK_EXECUTOR_POD_IP",
    "--resourceProfileId": "SPARK_RESOURCE_PROFILE_ID",
    "--podName": "SPARK_EXECUTOR_POD_NAME",
}
MEMORY = "SPARK_EXECUTOR_MEMORY"


def argv(executable: Path, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The command line of the backend; raises SettingsError for a variable that is not there."""
    for name in (MEMORY, *ARGUMENTS.values()):
        if name not in environment:
            raise SettingsError(
                f"{name} is not set. Spark sets it in the pods that it makes; this is no command "
                "to be run by hand."
            )
    memory = environment[MEMORY]
    pairs = ((option, environment[name]) for option, name in ARGUMENTS.items())
    return (
        str(executable),
        *java_options(environment),
        f"-Xms{memory}",
        f"-Xmx{memory}",
        "-cp",
        class_path(environment),
        MAIN_CLASS,
        *(part for pair in pairs for part in pair),
    )


def java_options(environment: Mapping[str, str]) -> list[str]:
    """SPARK_JAVA_OPT_0, _1, ... in the order of their numbers."""
    names = [name for name in environment if name.startswith(JAVA_OPTION)]
    return [environment[name] for name in sorted(names, key=lambda n: int(n[len(JAVA_OPTION) :]))]


def class_path(environment: Mapping[str, str], shipped: Path = SHIPPED_JARS) -> str:
    """What the server has; Spark's configuration folder comes first where there is one."""
    configuration = [environment["SPARK_CONF_DIR"]] if "SPARK_CONF_DIR" in environment else []
    folders = (pyspark_home() / "jars", *sorted(shipped.glob("*")))
    return ":".join([*configuration, *(f"{folder}/*" for folder in folders)])


def main() -> int:
    """Does not return where all is well; exit code 2 and a sentence otherwise."""
    environment = settings_module.process_environment()
    try:
        command = argv(java.find().path, environment)
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
    else:
        os.execve(command[0], command, environment)
    return 2


if __name__ == "__main__":
    sys.exit(main())
