"""Settings of the dashboard: refresh, links, alerts, log-in. `settings.load` calls this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crypto_pipeline import setting_values
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.setting_values import Secret

LOGIN_NAMES = ("OIDC_METADATA_URL", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_COOKIE_SECRET")
COOKIE_SECRET_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """An OpenID Connect provider for the dashboard; `allowed` is empty where all may enter.

    An entry of `allowed` is an e-mail address, or `@` and a domain.
    """

    metadata_url: str
    client_id: str
    client_secret: Secret
    cookie_secret: Secret
    redirect_url: str
    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenSettings:
    """`dagster_url` is where a person opens Dagster. The alerts' limits are the operator's."""

    dagster_url: str
    refresh_seconds: float
    alert_move_percent: float
    alert_volatility_percent: float
    alert_stale_seconds: float
    alert_webhook_url: Secret | None
    login: Login | None

    def environment(self) -> dict[str, str]:
        """For a child process; no secrets in it."""
        return {
            "DAGSTER_URL": self.dagster_url,
            "REFRESH_SECONDS": str(self.refresh_seconds),
            "ALERT_MOVE_PERCENT": str(self.alert_move_percent),
            "ALERT_VOLATILITY_PERCENT": str(self.alert_volatility_percent),
            "ALERT_STALE_SECONDS": str(self.alert_stale_seconds),
        }


def screen_settings(values: Mapping[str, str]) -> ScreenSettings:
    """Read and check them; raises SettingsError with what is accepted."""
    dagster_port = setting_values.port(values, "DAGSTER_PORT", 3000)
    number = setting_values.number
    return ScreenSettings(
        dagster_url=setting_values.url(values, "DAGSTER_URL", f"http://127.0.0.1:{dagster_port}"),
        refresh_seconds=number(values, "REFRESH_SECONDS", 2.0, low=0.5, high=60.0),
        alert_move_percent=number(values, "ALERT_MOVE_PERCENT", 2.0, low=0.01, high=1e3),
        alert_volatility_percent=number(
            values, "ALERT_VOLATILITY_PERCENT", 150.0, low=1.0, high=1e5
        ),
        alert_stale_seconds=number(values, "ALERT_STALE_SECONDS", 180.0, low=10.0, high=86_400.0),
        alert_webhook_url=setting_values.secret_url(values, "ALERT_WEBHOOK_URL"),
        login=login(values),
    )


def login(values: Mapping[str, str]) -> Login | None:
    """All of the log-in's settings or none: half of them would leave the page open."""
    given = [name for name in LOGIN_NAMES if name in values]
    if not given:
        return None
    if missing := [name for name in LOGIN_NAMES if name not in values]:
        raise SettingsError(f"{given[0]} is set, {', '.join(missing)} not. Set all or none.")
    if len(values["OIDC_COOKIE_SECRET"]) < COOKIE_SECRET_LENGTH:
        raise SettingsError(
            f"OIDC_COOKIE_SECRET is short. Give {COOKIE_SECRET_LENGTH} random characters or more."
        )
    port = setting_values.port(values, "DASHBOARD_PORT", 8501)
    here = f"http://127.0.0.1:{port}/oauth2callback"
    allowed = values.get("OIDC_ALLOWED", "").lower().split(",")
    return Login(
        metadata_url=setting_values.url(values, "OIDC_METADATA_URL", "https://login.example.com"),
        client_id=values["OIDC_CLIENT_ID"],
        client_secret=Secret(values["OIDC_CLIENT_SECRET"]),
        cookie_secret=Secret(values["OIDC_COOKIE_SECRET"]),
        redirect_url=setting_values.url(values, "OIDC_REDIRECT_URL", here),
        allowed=tuple(part.strip() for part in allowed if part.strip()),
    )
