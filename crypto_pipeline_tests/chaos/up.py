"""`crypto-pipeline up`, with its broker, its Spark and its market behind the test's own wires.

    python -m crypto_pipeline_tests.chaos.up

The settings name the public ports, which the wires hold; CHAOS_BEHIND names the ports on which
the servers themselves listen. Everything else is the command's own. The broker has one listener
more, which no wire is before: the recorder reads there what was committed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace

from crypto_pipeline import settings as settings_module
from crypto_pipeline.embedded import broker, services, spark_guard, spark_server
from crypto_pipeline.embedded.java import JavaHome
from crypto_pipeline.embedded.services import Service
from crypto_pipeline.embedded.up import up
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.chaos import crowded

VARIABLE = "CHAOS_BEHIND"
WIRED = ("broker", "spark", "simulator")
real_table = services.table
real_prepare = services.prepare
real_properties = broker.properties


def behind(settings: Settings, ports: Mapping[str, int]) -> Settings:
    """The same stack as its servers see it, without the wires."""
    return replace(
        settings,
        kafka_port=ports["kafka"],
        spark_port=ports["spark"],
        simulator_port=ports["http"],
    )


def table(settings: Settings, java: JavaHome, ports: Mapping[str, int]) -> tuple[Service, ...]:
    """Every service; those behind a wire listen there, and are asked there whether they are up."""
    hidden = {one.name: one for one in real_table(behind(settings, ports), java)}
    if crowded.VARIABLE in os.environ:
        hidden["simulator"] = crowd(hidden["simulator"])
    return tuple(
        hidden[one.name] if one.name in WIRED else one for one in real_table(settings, java)
    )


def crowd(simulator: Service) -> Service:
    """The market of more pairs than any venue has."""
    launch = simulator.launch
    pairs = os.environ[crowded.VARIABLE]
    changed = replace(
        launch,
        argv=(launch.argv[0], "-m", crowded.__name__),
        env={**launch.env, crowded.VARIABLE: pairs},
    )
    return replace(simulator, launch=changed)


def properties(settings: Settings, ports: Mapping[str, int]) -> dict[str, str]:
    """The broker's own, listening behind its wire, and once more for the recorder."""
    own = real_properties(behind(settings, ports))
    recorder = f"RECORDER://{broker.HOST}:{ports['recorder']}"
    public = f"CLIENT://{broker.HOST}:{settings.kafka_port}"
    security = own["listener.security.protocol.map"]
    return own | {
        "listeners": f"{own['listeners']},{recorder}",
        "advertised.listeners": f"{public},{recorder}",
        "listener.security.protocol.map": f"{security},RECORDER:PLAINTEXT",
    }


def wire(ports: Mapping[str, int]) -> None:
    """Have the command's own modules make the services that listen behind the wires."""

    def prepare(settings: Settings, java: JavaHome) -> None:
        real_prepare(settings, java)
        hidden = behind(settings, ports)
        spark_guard.prepare(hidden, spark_server.launch(hidden, java))

    broker.properties = lambda settings: properties(settings, ports)
    services.table = lambda settings, java: table(settings, java, ports)
    services.prepare = prepare


def main() -> int:
    wire(json.loads(os.environ[VARIABLE]))
    return up(settings_module.load())


if __name__ == "__main__":
    sys.exit(main())
