"""How Kafka is reached: whom to trust, and as which user. A group of its own in `Settings`.

In a cluster a workload has a user of its own with the rights that it needs (kafka-users.yaml of
the chart); on the laptop there are none. A password file is read at each connection, so a rotated
password needs no restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from crypto_pipeline import setting_values
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.setting_values import Secret

KafkaSecurity = Literal["plaintext", "tls", "scram"]
KafkaRole = Literal["poller", "lake", "dashboard", "sensor"]
ROLES: tuple[KafkaRole, ...] = get_args(KafkaRole)
PROTOCOLS = {"plaintext": "PLAINTEXT", "tls": "SSL", "scram": "SASL_SSL"}
MECHANISM = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaLogin:
    """A user's name, and its password or the file that holds it."""

    username: str
    given: Secret | None = None
    file: Path | None = None

    def password(self) -> Secret:
        if self.given is not None:
            return self.given
        if self.file is None:
            raise SettingsError(
                f"The Kafka user {self.username} has no password. Set KAFKA_PASSWORD or "
                "KAFKA_PASSWORD_FILE, or those of its role."
            )
        try:
            return Secret(self.file.read_text().strip())
        except OSError as error:
            raise SettingsError(
                f"The password of the Kafka user {self.username} cannot be read from {self.file} "
                f"({error.strerror}). Set KAFKA_PASSWORD_FILE to a file that this process may read."
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """`ca_file` is PEM; None trusts the public authorities. `login` is for roles without one."""

    security: KafkaSecurity = "plaintext"
    ca_file: Path | None = None
    login: KafkaLogin | None = None
    logins: Mapping[KafkaRole, KafkaLogin] = field(default_factory=dict)

    def login_of(self, role: KafkaRole) -> KafkaLogin:
        found = self.logins.get(role, self.login)
        if found is None:
            raise SettingsError(
                f"KAFKA_SECURITY is scram, but there is no user for the {role}. Set "
                f"KAFKA_{role.upper()}_USERNAME and KAFKA_{role.upper()}_PASSWORD_FILE, or "
                "KAFKA_USERNAME and KAFKA_PASSWORD_FILE for all."
            )
        return found

    def client_options(self, role: KafkaRole) -> dict[str, Any]:
        """What a client of kafka-python needs to be let in as a role; holds a password."""
        options: dict[str, Any] = {"security_protocol": PROTOCOLS[self.security]}
        if self.security != "plaintext" and self.ca_file is not None:
            options["ssl_cafile"] = str(self.ca_file)
        if self.security == "scram":
            login = self.login_of(role)
            options["sasl_mechanism"] = MECHANISM
            options["sasl_plain_username"] = login.username
            options["sasl_plain_password"] = login.password().reveal()
        return options

    def reader_options(self) -> dict[str, str]:
        """What Spark's Kafka source is told; who it is, its server alone knows (decision 11)."""
        options: dict[str, str] = {}
        if self.security != "plaintext":
            options["kafka.security.protocol"] = PROTOCOLS[self.security]
            if self.ca_file is not None:
                options["kafka.ssl.truststore.type"] = "PEM"
                options["kafka.ssl.truststore.location"] = str(self.ca_file)
        if self.security == "scram":
            options["kafka.sasl.mechanism"] = MECHANISM
        return options

    def environment(self) -> dict[str, str]:
        """The variables of it that hold no secret."""
        values: dict[str, str] = {"KAFKA_SECURITY": self.security}
        if self.ca_file is not None:
            values["KAFKA_CA_FILE"] = str(self.ca_file)
        everyone: list[tuple[str, KafkaLogin | None]] = [("KAFKA", self.login)]
        for name, login in [
            *everyone,
            *((f"KAFKA_{r.upper()}", u) for r, u in self.logins.items()),
        ]:
            if login is not None:
                values[f"{name}_USERNAME"] = login.username
                if login.file is not None:
                    values[f"{name}_PASSWORD_FILE"] = str(login.file)
        return values


def load(values: Mapping[str, str]) -> KafkaSettings:
    ca_file = values.get("KAFKA_CA_FILE")
    logins = {role: login for role in ROLES if (login := _login(values, f"KAFKA_{role.upper()}"))}
    accepted = get_args(KafkaSecurity)
    security = setting_values.choice(values, "KAFKA_SECURITY", "plaintext", accepted)
    return KafkaSettings(
        security=security,  # type: ignore[arg-type]
        ca_file=None if ca_file is None else Path(ca_file).expanduser().absolute(),
        login=_login(values, "KAFKA"),
        logins=logins,
    )


def _login(values: Mapping[str, str], prefix: str) -> KafkaLogin | None:
    username = values.get(f"{prefix}_USERNAME")
    if username is None:
        return None
    file = values.get(f"{prefix}_PASSWORD_FILE")
    return KafkaLogin(
        username=username,
        given=setting_values.secret(values, f"{prefix}_PASSWORD"),
        file=None if file is None else Path(file).expanduser().absolute(),
    )
