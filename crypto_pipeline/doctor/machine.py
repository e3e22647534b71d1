"""This machine: Java, jars, state folder and disk, ports. As `make up` needs them.

Where Kafka and Spark run elsewhere, as for a pod, only the folder counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from crypto_pipeline.doctor.finding import Finding, fine, idle, tried
from crypto_pipeline.embedded import jars, java, preflight, services, up_lock
from crypto_pipeline.setting_values import Secret
from crypto_pipeline.settings import Settings


def look(settings: Settings) -> Iterator[Finding]:
    if settings.kafka_bootstrap is not None and settings.spark_remote is not None:
        yield idle("Java, jars and ports", "Kafka and Spark run elsewhere: not needed here.")
        yield tried("State folder", lambda: _writable(settings))
        return
    found = tried("Java", _java)
    yield found
    yield _jars(settings)
    yield tried("State folder and disk", lambda: _folder(settings))
    if found.verdict == "ok":
        yield _ports(settings)


def _java() -> str:
    home = java.find()
    return f"{home.path}, version {home.version}."


def _jars(settings: Settings) -> Finding:
    """Not there is not wrong: the first start fetches them."""
    wanted = jars.needed(settings)
    lacking = jars.missing(wanted, jars.folder(settings))
    if lacking:
        megabytes = sum(jar.size for jar in lacking) / 1e6
        return idle(
            "Jars",
            f"{len(lacking)} of {len(wanted)} are not here. The next start fetches "
            f"{megabytes:.0f} MB from {jars.REPOSITORY}.",
        )
    return fine("Jars", f"All {len(wanted)} are here, each with its sum.")


def _folder(settings: Settings) -> str:
    preflight.check_folder(settings)
    return f"{settings.state_dir} can be written and has room."


def _writable(settings: Settings) -> str:
    preflight.check_writable(settings)
    return f"{settings.state_dir} can be written."


def _ports(settings: Settings) -> Finding:
    if up_lock.is_held(settings):
        return fine("Ports", "`make up` runs and has its own.")

    def free() -> str:
        # For the ports alone: neither a token nor keys are there before the first start.
        alone = replace(settings, spark_token_setting=Secret("none"), lake_root_setting=None)
        table = services.table(alone, java.find())
        preflight.check_ports(table)
        return f"All {sum(len(service.ports) for service in table)} are free."

    return tried("Ports", free)
