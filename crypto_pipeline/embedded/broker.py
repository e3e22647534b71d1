"""The laptop's broker: one real Kafka node that is its own KRaft controller, on loopback."""

from __future__ import annotations

import socket
import struct
import subprocess
from pathlib import Path

from crypto_pipeline.embedded import jars
from crypto_pipeline.embedded.java import JavaHome
from crypto_pipeline.embedded.launch import Launch
from crypto_pipeline.errors import MachineError
from crypto_pipeline.settings import Settings, process_environment

HOST = "127.0.0.1"
HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC")
# A broker of one node, a few small topics and a laptop's disk; Kafka's defaults reserve far more.
LAPTOP_PROPERTIES = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    "log.cleaner.min.cleanable.ratio": "0.2",
    "log.index.size.max.bytes": str(1024 * 1024),
    "log.roll.hours": "6",
    "log.segment.bytes": str(64 * 1024 * 1024),
    "metadata.log.segment.bytes": str(16 * 1024 * 1024),
    "num.io.threads": "4",
    "num.network.threads": "2",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
}
LOGGING = """\
appenders=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}{UTC} %p %c{1} %m%n
rootLogger.level=WARN
rootLogger.appenderRefs=console
rootLogger.appenderRef.console.ref=console
loggers=kafka
logger.kafka.name=kafka.server.KafkaRaftServer
logger.kafka.level=INFO
"""


def folder(settings: Settings) -> Path:
    return settings.home / "kafka"


def properties(settings: Settings) -> dict[str, str]:
    """The quorum is named by address, not kept in the log, so that a port may change later."""
    own = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{settings.kafka_controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": (
            f"CLIENT://{HOST}:{settings.kafka_port},"
            f"CONTROLLER://{HOST}:{settings.kafka_controller_port}"
        ),
        "advertised.listeners": f"CLIENT://{HOST}:{settings.kafka_port}",
        "inter.broker.listener.name": "CLIENT",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(folder(settings) / "log"),
    }
    return own | LAPTOP_PROPERTIES


def prepare(settings: Settings, java: JavaHome) -> None:
    """Write the configuration; give the log folder its cluster id the first time."""
    folder(settings).mkdir(parents=True, exist_ok=True)
    lines = (f"{name}={_escaped(value)}\n" for name, value in properties(settings).items())
    _server_properties(settings).write_text("".join(lines))
    (folder(settings) / "log4j2.properties").write_text(LOGGING)
    if (folder(settings) / "log" / "meta.properties").exists():
        return
    tool = (*_java(settings, java), "kafka.tools.StorageTool")
    cluster = _run(*tool, "random-uuid").strip().splitlines()[-1]
    _run(*tool, "format", "--cluster-id", cluster, "--config", str(_server_properties(settings)))


def launch(settings: Settings, java: JavaHome) -> Launch:
    return Launch(
        argv=(*_java(settings, java), *HEAP, "kafka.Kafka", str(_server_properties(settings))),
        cwd=folder(settings),
    )


def is_ready(settings: Settings) -> bool:
    """Whether the broker answers ApiVersions; the port alone opens before it serves."""
    correlation, api_versions = 7, 18
    request = struct.pack(">hhih", api_versions, 0, correlation, -1)
    try:
        with socket.create_connection((HOST, settings.kafka_port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(10)
    except OSError:
        return False
    return len(answer) == 10 and struct.unpack(">iih", answer)[1:] == (correlation, 0)


def _server_properties(settings: Settings) -> Path:
    return folder(settings) / "server.properties"


def _java(settings: Settings, java: JavaHome) -> tuple[str, ...]:
    """The first compiler alone: a laptop's load needs no more, and it leaves cores to Spark."""
    return (
        str(java.path),
        "-XX:TieredStopAtLevel=1",
        f"-Dlog4j2.configurationFile={folder(settings) / 'log4j2.properties'}",
        f"-Dkafka.logs.dir={folder(settings)}",
        "-cp",
        f"{jars.folder(settings) / 'broker'}/*",
    )


def _run(*argv: str) -> str:
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env=process_environment(), timeout=120
    )
    if done.returncode != 0:
        raise MachineError(
            f"Kafka could not prepare its folder: {(done.stderr or done.stdout).strip()[-600:]} "
            "If the folder is from another version, remove the state folder with `make clean`."
        )
    return done.stdout


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")
