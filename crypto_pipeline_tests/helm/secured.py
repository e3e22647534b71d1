"""A real broker with TLS, SCRAM-SHA-512 and the authorizer, and the users of the chart."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
)

from crypto_pipeline.contract.topic import TOPICS
from crypto_pipeline.embedded import broker, java
from crypto_pipeline.kafka_settings import ROLES, KafkaLogin, KafkaRole, KafkaSettings
from crypto_pipeline.settings import Settings, process_environment
from crypto_pipeline.state_format import open_state
from crypto_pipeline.stream.connection import open_admin, open_producer
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline_tests.conftest import ROOT, free_port

RENDERED = ROOT / "helm" / "crypto-pipeline" / "rendered" / "laptop.yaml"
FOREIGN = "someone.elses"
OPERATIONS = {
    "Read": ACLOperation.READ,
    "Write": ACLOperation.WRITE,
    "Describe": ACLOperation.DESCRIBE,
    "DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS,
}

Grants = dict[KafkaRole, dict[str, set[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredBroker:
    """`owner` may do everything, by a listener for the tests only; `grants` are the chart's."""

    owner: Settings
    clients: Settings
    grants: Grants
    folder: Path
    passwords: dict[KafkaRole, str]

    def as_user(self, role: KafkaRole) -> Settings:
        return self.clients.as_kafka_user(role)


def chart_grants() -> Grants:
    """Operations by user and topic, as the chart's KafkaUsers have them."""
    users = [m for m in yaml.safe_load_all(RENDERED.read_text()) if m and m["kind"] == "KafkaUser"]
    grants: Grants = {}
    for user in users:
        (role,) = (role for role in ROLES if user["metadata"]["name"].endswith(f"-{role}"))
        assert user["spec"]["authentication"] == {"type": "scram-sha-512"}
        acls = user["spec"]["authorization"]["acls"]
        assert all(acl["resource"]["type"] == "topic" for acl in acls)
        grants[role] = {acl["resource"]["name"]: set(acl["operations"]) for acl in acls}
    return grants


def authority(name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    return _certificate(name, key, issuer=None), key


def server_identity(
    folder: Path, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, host: str
) -> Path:
    """Key and certificate for one host name, as Kafka's PEM key store wants them."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(host, key, issuer=(ca, ca_key))
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "server.pem"
    file.write_bytes(secret + certificate.public_bytes(pem) + ca.public_bytes(pem))
    return file


def write_certificate(file: Path, certificate: x509.Certificate) -> Path:
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return file


@contextmanager
def secured_broker(settings: Settings, folder: Path) -> Iterator[SecuredBroker]:
    """Start it on free ports, make topics as their owner, and give the users their rights."""
    passwords = {role: f"canary-{role}-{free_port()}" for role in ROLES}
    ca, ca_key = authority("the broker's authority")
    identity = server_identity(folder, ca, ca_key, "localhost")
    ca_file = write_certificate(folder / "ca.crt", ca)
    tls_port = free_port()
    owner = replace(settings, kafka_bootstrap=None)
    home = java.find()
    _prepare(owner, home, identity, tls_port, passwords)
    log = folder / "broker.log"
    with log.open("wb") as output:
        launch = broker.launch(owner, home)
        process = subprocess.Popen(
            launch.argv, cwd=launch.cwd, env=process_environment(), stdout=output, stderr=output
        )
    try:
        await_ready(lambda: broker.is_ready(owner), process, log, seconds=120)
        logins = {role: _login(folder, role, passwords[role]) for role in ROLES}
        clients = replace(
            owner,
            kafka_bootstrap=f"localhost:{tls_port}",
            kafka=KafkaSettings(security="scram", ca_file=ca_file, logins=logins),
        )
        grants = chart_grants()
        _make(owner, grants)
        yield SecuredBroker(
            owner=owner, clients=clients, grants=grants, folder=folder, passwords=passwords
        )
    finally:
        process.terminate()
        process.wait(30)


def _login(folder: Path, role: KafkaRole, password: str) -> KafkaLogin:
    """By file, as a pod has it."""
    file = folder / f"{role}-password"
    file.write_text(password)
    return KafkaLogin(username=role, file=file)


def _prepare(
    settings: Settings,
    home: java.JavaHome,
    identity: Path,
    tls_port: int,
    passwords: dict[KafkaRole, str],
) -> None:
    own = f"OWNER://127.0.0.1:{settings.kafka_port}"
    properties = broker.properties(settings) | {
        "listeners": f"{own},CLIENT://127.0.0.1:{tls_port},"
        f"CONTROLLER://127.0.0.1:{settings.kafka_controller_port}",
        "advertised.listeners": f"{own},CLIENT://localhost:{tls_port}",
        "inter.broker.listener.name": "OWNER",
        "listener.security.protocol.map": "OWNER:PLAINTEXT,CLIENT:SASL_SSL,CONTROLLER:PLAINTEXT",
        "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "listener.name.client.ssl.keystore.type": "PEM",
        "listener.name.client.ssl.keystore.location": str(identity),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "false",
    }
    open_state(settings)
    folder = broker.folder(settings)
    folder.mkdir(parents=True)
    file = folder / "server.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    (folder / "log4j2.properties").write_text(broker.LOGGING)
    scram = (
        part
        for role, password in passwords.items()
        for part in ("--add-scram", f"SCRAM-SHA-512=[name={role},password={password}]")
    )
    classpath = broker.launch(settings, home).argv
    tool = (*classpath[: classpath.index("-cp") + 2], "kafka.tools.StorageTool")
    format_log = ("format", "--cluster-id", "c2VjdXJlZC1icm9rZXItMQ", "--config", str(file), *scram)
    done = subprocess.run((*tool, *format_log), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def await_ready(
    is_ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, *, seconds: float
) -> None:
    """Wait for a server; the end of its log where it has ended or takes too long."""
    until = time.monotonic() + seconds
    while not is_ready():
        assert process.poll() is None, log.read_text()[-2_000:]
        assert time.monotonic() < until, log.read_text()[-2_000:]
        time.sleep(0.2)


def _make(owner: Settings, grants: Grants) -> None:
    ensure(owner)
    with closing(open_admin(owner)) as admin:
        admin.create_topics({FOREIGN: {"num_partitions": 1}})
        answer: Any = admin.create_acls(
            [
                ACL(
                    principal=f"User:{role}",
                    host="*",
                    operation=OPERATIONS[operation],
                    permission_type=ACLPermissionType.ALLOW,
                    resource_pattern=ResourcePattern(ResourceType.TOPIC, topic),
                )
                for role, topics in grants.items()
                for topic, operations in topics.items()
                for operation in operations
            ]
        )
    assert not answer["failed"], answer
    with closing(open_producer(owner)) as producer:
        for name in (*(topic.name for topic in TOPICS), FOREIGN):
            producer.send(name, b"{}", b"key", partition=0).get(timeout=20)
    assert {topic.name for topic in TOPICS} >= {t for topics in grants.values() for t in topics}


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        alternative = x509.SubjectAlternativeName([x509.DNSName(name)])
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(key if issuer is None else issuer[1], hashes.SHA256())
