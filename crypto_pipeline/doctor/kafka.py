"""Kafka: is it reached, does TLS hold, is each workload let in, and may it do what it has to."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from crypto_pipeline.doctor.finding import Finding, fine, idle, tried, wrong
from crypto_pipeline.embedded import up_lock
from crypto_pipeline.errors import BrokerAwayError, PipelineError
from crypto_pipeline.kafka_settings import ROLES, KafkaRole
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import DEFAULT_PORT
from crypto_pipeline.stream.rights import lacking

SECONDS = 5.0
Lacking = Callable[[Settings], tuple[tuple[str, ...], tuple[str, ...]]]


def look(settings: Settings, *, lacks: Lacking = lacking) -> Iterator[Finding]:
    """Where it is not reached, nothing else is tried."""
    if settings.kafka_bootstrap is None and not up_lock.is_held(settings):
        yield idle("Kafka", "The broker of `make up`, which does not run.")
        return
    reached = _reached(settings)
    yield reached
    if reached.verdict == "ok":
        yield from (_role(settings.as_kafka_user(role), lacks) for role in _roles(settings))


def _reached(settings: Settings) -> Finding:
    """A connection to the first address that takes one, with its certificate where TLS is set."""
    subject, reasons = "Kafka", []
    for address in settings.kafka_address.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host:
            host, port = port, str(DEFAULT_PORT)
        if not port.isdigit():
            return wrong(
                subject,
                f"{address!r} is no address.",
                "Set KAFKA_BOOTSTRAP_SERVERS to host:port, commas between.",
            )
        try:
            with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
                return _spoken(settings, connection, host=host, address=address)
        except OSError as error:
            reasons.append(f"{address}: {error.strerror or error}")
    return wrong(
        subject,
        f"No broker accepts a connection ({'; '.join(reasons)}).",
        "Set KAFKA_BOOTSTRAP_SERVERS to the brokers' addresses, or see that this machine may "
        "reach them (firewall, network policy, advertised listeners).",
    )


def _spoken(settings: Settings, plain: socket.socket, *, host: str, address: str) -> Finding:
    security, ca_file = settings.kafka.security, settings.kafka.ca_file
    if security == "plaintext":
        return fine("Kafka", f"{address} accepts connections.")
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        return wrong(
            "Kafka TLS",
            f"KAFKA_CA_FILE {ca_file} cannot be used ({error.strerror or 'no certificates'}).",
            "Set it to the authority's certificate as PEM; with Strimzi, ca.crt of the Secret "
            "that ends with -cluster-ca-cert.",
        )
    try:
        with context.wrap_socket(plain, server_hostname=host) as secured:
            return fine("Kafka TLS", f"{address} speaks {secured.version()} and is who it says.")
    except ssl.SSLCertVerificationError as error:
        return wrong(
            "Kafka TLS",
            f"The certificate of {address} is not accepted: {error.verify_message}.",
            "Set KAFKA_CA_FILE to the authority that signed it, and use the host name that is "
            "in it.",
        )
    except OSError:
        return wrong(
            "Kafka TLS",
            f"{address} does not speak TLS, and KAFKA_SECURITY is {security}.",
            "Use the port of its TLS listener, or set KAFKA_SECURITY=plaintext.",
        )


def _roles(settings: Settings) -> tuple[KafkaRole, ...]:
    """All that may log in here: on the laptop everyone is nobody, in a pod some are elsewhere."""
    if settings.kafka.security == "scram" and settings.kafka.login is None:
        return tuple(role for role in ROLES if role in settings.kafka.logins) or ROLES
    return ROLES


def _role(settings: Settings, lacks: Lacking) -> Finding:
    role, subject = settings.kafka_role, f"Kafka as {settings.kafka_role}"
    with _overheard() as words:
        try:
            absent, missing = lacks(settings)
        except PipelineError as error:
            return _refused(subject, role, error, settings, " ".join(words))
    if missing:
        return wrong(
            subject,
            f"It lacks {', '.join(missing)}.",
            f"Grant it what the user {role} has in helm/crypto-pipeline/files/kafka-users.yaml.",
        )
    if absent:
        return idle(subject, f"{', '.join(absent)} are not there, or not shown to this user yet.")
    return fine(subject, "It is let in and may do its work.")


def _refused(
    subject: str, role: KafkaRole, error: PipelineError, settings: Settings, overheard: str
) -> Finding:
    if said := _refused_login(settings, overheard):
        return wrong(
            subject,
            said,
            f"Correct KAFKA_{role.upper()}_USERNAME and KAFKA_{role.upper()}_PASSWORD_FILE, or "
            "KAFKA_USERNAME and KAFKA_PASSWORD_FILE; a user of SCRAM-SHA-512 is asked for.",
        )
    if settings.kafka.security == "plaintext" and isinstance(error, BrokerAwayError):
        return wrong(
            subject,
            "The broker accepts a connection and does not answer on it.",
            "If it asks for TLS or a log-in, set KAFKA_SECURITY=tls or scram; else look into its "
            "log.",
        )
    return tried(subject, lambda: _raise(error))


def _refused_login(settings: Settings, overheard: str) -> str | None:
    """A broker answers a wrong password and hangs up at once: the client may see only that."""
    if any(word in overheard for word in ("SaslAuthenticationFailed", "UnsupportedSaslMechanism")):
        return "The broker refuses its user or password."
    if settings.kafka.security == "scram" and "socket disconnected" in overheard:
        return "The broker hangs up at the log-in, as it does on a wrong user or password."
    return None


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """What the client logs meanwhile: it keeps a refused log-in to itself and says time-out."""
    words: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: words.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("kafka")
    propagates = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield words
    finally:
        logger.propagate = propagates
        logger.removeHandler(handler)


def _raise(error: PipelineError) -> str:
    raise error
