"""A mark in every secret setting, which must be seen nowhere."""

from __future__ import annotations

MARK = "canary-4711"
CANARIES = {
    name: f"{MARK}-{name.lower()}-{'x' * 32}"
    for name in (
        "COINGECKO_API_KEY",
        "SPARK_CONNECT_TOKEN",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "DATABRICKS_TOKEN",
        "SMTP_PASSWORD",
        "KAFKA_PASSWORD",
        "KAFKA_POLLER_PASSWORD",
        "KAFKA_LAKE_PASSWORD",
        "KAFKA_DASHBOARD_PASSWORD",
        "KAFKA_SENSOR_PASSWORD",
        "OIDC_CLIENT_SECRET",
        "OIDC_COOKIE_SECRET",
    )
}
# What the secrets need beside them to be taken.
BESIDE = {
    "KAFKA_USERNAME": "anyone",
    **{
        f"KAFKA_{role}_USERNAME": role.lower() for role in ("POLLER", "LAKE", "DASHBOARD", "SENSOR")
    },
    "OIDC_METADATA_URL": "http://127.0.0.1:9/.well-known/openid-configuration",
    "OIDC_CLIENT_ID": "client",
    "SMTP_USER": "sender",
    "SMTP_HOST": "127.0.0.1",
    "SMTP_PORT": "9",
    "SMTP_TLS": "no",
    "ALERT_EMAIL_TO": "someone@example.org",
    "ALERT_STALE_SECONDS": "10",
    "ALERT_MOVE_PERCENT": "0.01",
}
