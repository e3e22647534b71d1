"""`python -m crypto_pipeline.cluster.spark_server`: the Spark Connect server of a pod, guarded.

As the laptop's server, with what a chart sets on top, and with the Kafka user of the lake in a
JAAS file of its own: readers name no user and no password, so none is in a plan or an event. It
is a child of this process, which holds the lake's lease (`embedded/spark_guard.py`).
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from crypto_pipeline import settings as settings_module
from crypto_pipeline.embedded import jars, java, spark_guard, spark_server
from crypto_pipeline.embedded.launch import PROJECT_ROOT, Launch
from crypto_pipeline.errors import PipelineError, SettingsError
from crypto_pipeline.settings import Settings

# Where an image keeps the locked jars; a checkout has none there.
SHIPPED_JARS = PROJECT_ROOT / "jars"
JAAS = """\
KafkaClient {{
  org.apache.kafka.common.security.scram.ScramLoginModule required
  username="{username}"
  password="{password}";
}};
"""


def properties(settings: Settings) -> dict[str, str]:
    """The chart's properties; a driver with executors is known to them by its address."""
    found = parse_properties(settings.spark_properties_file)
    if found.get("spark.master", "").startswith("k8s://"):
        found.setdefault("spark.driver.host", socket.gethostbyname(socket.gethostname()))
    return found


def parse_properties(file: Path | None) -> dict[str, str]:
    """Read `name=value` lines; raises SettingsError for a line that is none."""
    if file is None:
        return {}
    lines = [line.strip() for line in file.read_text().splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    for name, equals, _ in pairs:
        if not equals:
            raise SettingsError(f"{file} has the line {name!r}. Write name=value, one a line.")
    return {name.strip(): value.strip() for name, _, value in pairs}


def jaas_file(settings: Settings) -> Path | None:
    """Write who the server is for Kafka, readable by us alone; None where Kafka asks nobody."""
    if settings.kafka.security != "scram":
        return None
    login = settings.kafka.login_of("lake")
    file = settings.state_dir / "kafka-jaas.conf"
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(
        JAAS.format(username=_quoted(login.username), password=_quoted(login.password().reveal()))
    )
    return file


def lay_out_jars(settings: Settings, shipped: Path = SHIPPED_JARS) -> None:
    """Show the image's jars where the class path has them: a pod's state folder begins empty."""
    place = jars.folder(settings)
    if shipped.is_dir() and not place.exists():
        place.unlink(missing_ok=True)
        place.symlink_to(shipped)


def argv(launch: Launch, *, heap: str | None, over: Mapping[str, str]) -> tuple[str, ...]:
    """The laptop's command line with another heap and other properties."""
    replaced = [
        argument
        for argument in launch.argv
        if not any(argument.startswith(f"-D{name}=") for name in over)
        and not (heap and argument.startswith(("-Xms", "-Xmx")))
    ]
    heap_options = [f"-Xmx{heap}"] if heap else []
    options = [f"-D{name}={value}" for name, value in over.items()]
    return (replaced[0], *heap_options, *options, *replaced[1:])


def pod_launch(settings: Settings) -> Launch:
    """Lay out what the server reads, and say how it is started."""
    settings.home.mkdir(parents=True, exist_ok=True)
    spark_server.prepare(settings)
    lay_out_jars(settings)
    launch = spark_server.launch(settings, java.find())
    over = properties(settings)
    jaas = jaas_file(settings)
    if jaas is not None:
        over["java.security.auth.login.config"] = str(jaas)
    return replace(launch, argv=argv(launch, heap=settings.spark_heap, over=over))


def main() -> int:
    """The server's exit code; 2 and a sentence when it may not or cannot be started."""
    stop = spark_guard.asked_to_stop()
    try:
        settings = settings_module.load()
        launch = pod_launch(settings)
        lease = spark_guard.patiently(settings, stop)
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    env = {**settings_module.process_environment(), **launch.env}
    return spark_guard.guard(lease, launch.argv, stop, env=env, cwd=launch.cwd)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


if __name__ == "__main__":
    sys.exit(main())
