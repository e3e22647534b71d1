"""The laptop's Spark: one warm Spark Connect server on loopback, with Delta and Kafka in it.

It is started by its main class, not by `spark-submit`, which needs a Java module that the
wheel's Java leaves out. Every setting travels as a system property, the token by environment.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import sys
from pathlib import Path

import pyspark

from crypto_pipeline.embedded import jars, spark_on_store
from crypto_pipeline.embedded.java import JavaHome
from crypto_pipeline.embedded.launch import PROJECT_ROOT, Launch
from crypto_pipeline.settings import Settings, spark_token

MAIN_CLASS = "org.apache.spark.sql.connect.service.SparkConnectServer"
HEAP = ("-Xms512m", "-Xmx2g", "-XX:+UseG1GC", "-XX:MaxMetaspaceSize=768m")
CORES = 2
# What Spark's own start script opens, for Arrow, Kryo and Unsafe.
OPENED = (
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.cs",
    "java.base/sun.security.action",
    "java.base/sun.util.calendar",
    "java.security.jgss/sun.security.krb5",
)
LOGGING = """\
appenders=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}{UTC} %p %c{1} %m%n
rootLogger.level=WARN
rootLogger.appenderRefs=console
rootLogger.appenderRef.console.ref=console
loggers=native,conf
logger.native.name=org.apache.hadoop.util.NativeCodeLoader
logger.native.level=ERROR
logger.conf.name=org.apache.spark.SparkConf
logger.conf.level=ERROR
"""


def folder(settings: Settings) -> Path:
    return settings.home / "spark"


def configuration(settings: Settings) -> dict[str, str]:
    """Few partitions: a MERGE took 17 to 33 s with the defaults and 3 s with these."""
    return {
        "spark.app.name": "crypto-pipeline",
        "spark.master": f"local[{CORES}]",
        "spark.driver.host": "localhost",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(settings.spark_port),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.adaptive.enabled": "true",
        # The default of 100 forgets a bite's 380 classes before the next bite has the same ones.
        "spark.sql.codegen.cache.maxEntries": "2000",
        # Ticks with their venue's bytes took 235 bytes a row by snappy, and 134 so.
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(folder(settings) / "warehouse"),
        "spark.local.dir": str(settings.state_dir / "spark-local"),
        "spark.ui.enabled": "false",
        "spark.sql.ui.retainedExecutions": "20",
        "spark.ui.retainedJobs": "50",
        "spark.ui.retainedStages": "50",
        **spark_on_store.configuration(settings),
    }


def prepare(settings: Settings) -> None:
    """Folders, logging, and a token of our own (readable by us alone) unless one was set."""
    folder(settings).mkdir(parents=True, exist_ok=True)
    (settings.state_dir / "spark-local").mkdir(exist_ok=True)
    (folder(settings) / "log4j2.properties").write_text(LOGGING)
    if settings.spark_token_setting is None and not settings.spark_token_file.exists():
        settings.spark_token_file.touch(mode=0o600)
        settings.spark_token_file.write_text(secrets.token_urlsafe(32))


def clear_scratch(settings: Settings) -> None:
    """Remove what a killed server left; only while none runs."""
    shutil.rmtree(settings.state_dir / "spark-local", ignore_errors=True)


def launch(settings: Settings, java: JavaHome) -> Launch:
    return Launch(
        argv=(
            str(java.path),
            *HEAP,
            *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENED),
            "-Djdk.reflect.useDirectMethodHandle=false",
            "-Dio.netty.tryReflectionSetAccessible=true",
            "-Duser.timezone=UTC",
            f"-Dlog4j2.configurationFile={folder(settings) / 'log4j2.properties'}",
            f"-Djava.io.tmpdir={settings.state_dir / 'spark-local'}",
            *(f"-D{name}={value}" for name, value in configuration(settings).items()),
            "-cp",
            class_path(settings),
            MAIN_CLASS,
        ),
        env=_environment(settings),
        cwd=folder(settings),
    )


def is_ready(settings: Settings) -> bool:
    try:
        with socket.create_connection(("localhost", settings.spark_port), timeout=2):
            return True
    except OSError:
        return False


def pyspark_home() -> Path:
    return Path(pyspark.__file__).parent


def class_path(settings: Settings) -> str:
    """pyspark's own jars, ours, and a store's when the lake is in one."""
    groups = dict.fromkeys(jar.group for jar in jars.needed(settings) if jar.group != "broker")
    folders = (pyspark_home() / "jars", *(jars.folder(settings) / group for group in groups))
    return ":".join(f"{folder}/*" for folder in folders)


def _environment(settings: Settings) -> dict[str, str]:
    """The token is not an argument because `ps` shows those to every user of the machine.

    Python workers start with this interpreter and find the package, whose functions they load.
    """
    return {
        "SPARK_CONNECT_AUTHENTICATE_TOKEN": spark_token(settings).reveal(),
        "SPARK_HOME": str(pyspark_home()),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONPATH": str(PROJECT_ROOT),
        "SPARK_LOCAL_IP": "127.0.0.1",
        **spark_on_store.environment(settings),
    }
