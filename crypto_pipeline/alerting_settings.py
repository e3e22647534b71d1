"""Settings of who is told when something is wrong: a group of its own in `Settings`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from crypto_pipeline import setting_values
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.setting_values import Secret

ADDRESS_FORM = re.compile(r"[^@\s,]+@[^@\s,]+")
RUNBOOK_BASE = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerting:
    """Nobody is told unless a webhook or an address is set. The webhook's URL is a secret."""

    webhook_url: Secret | None
    email_to: tuple[str, ...]
    email_from: str
    smtp_host: str
    smtp_port: int
    smtp_tls: bool
    smtp_user: str | None
    smtp_password: Secret | None
    runbook_base: str

    @property
    def is_on(self) -> bool:
        return self.webhook_url is not None or bool(self.email_to)

    def environment(self) -> dict[str, str]:
        """Without the secrets, which children take from the environment or `.env` themselves."""
        values = {
            "ALERT_EMAIL_TO": ",".join(self.email_to),
            "ALERT_EMAIL_FROM": self.email_from,
            "ALERT_RUNBOOK_URL": self.runbook_base,
            "SMTP_HOST": self.smtp_host,
            "SMTP_PORT": str(self.smtp_port),
            "SMTP_TLS": "yes" if self.smtp_tls else "no",
            "SMTP_USER": self.smtp_user or "",
        }
        return {name: value for name, value in values.items() if value}


def alerting(values: Mapping[str, str]) -> Alerting:
    webhook = values.get("ALERT_WEBHOOK_URL")
    if webhook is not None and not re.fullmatch(r"https?://\S+", webhook):
        raise SettingsError("ALERT_WEBHOOK_URL is not an address: give https://…, without spaces.")
    return Alerting(
        webhook_url=setting_values.secret(values, "ALERT_WEBHOOK_URL"),
        email_to=_addresses(values),
        email_from=values.get("ALERT_EMAIL_FROM", "crypto-pipeline@localhost"),
        smtp_host=setting_values.host(values, "SMTP_HOST", "127.0.0.1"),
        smtp_port=setting_values.port(values, "SMTP_PORT", 587),
        smtp_tls=setting_values.choice(values, "SMTP_TLS", "yes", ("yes", "no")) == "yes",
        smtp_user=values.get("SMTP_USER"),
        smtp_password=setting_values.secret(values, "SMTP_PASSWORD"),
        runbook_base=values.get("ALERT_RUNBOOK_URL", RUNBOOK_BASE),
    )


def _addresses(values: Mapping[str, str]) -> tuple[str, ...]:
    listed = [part.strip() for part in values.get("ALERT_EMAIL_TO", "").split(",") if part.strip()]
    for address in listed:
        if not ADDRESS_FORM.fullmatch(address):
            raise SettingsError(
                f"ALERT_EMAIL_TO has {address!r}. Give addresses such as me@example.org, commas "
                "between."
            )
    return tuple(listed)
