"""A message to a webhook, to an e-mail address, or to both, as the settings say."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage

import httpx

from crypto_pipeline.alerting.alert import runbook_link
from crypto_pipeline.alerting.ledger import Message
from crypto_pipeline.alerting_settings import Alerting
from crypto_pipeline.errors import AlertError

SECONDS = 10.0


def send(message: Message, alerting: Alerting, *, market: str) -> None:
    """Tell everyone who is to be told; raises AlertError, without the address's secret part.

    A webhook that took it is told again when the e-mail fails: twice is better than never.
    """
    if alerting.webhook_url is not None:
        _post(message, alerting, market=market)
    if alerting.email_to:
        _mail(message, alerting, market=market)


def content(message: Message, alerting: Alerting, *, market: str) -> dict[str, str]:
    """What a webhook gets; `text` alone is what chat services show."""
    link = runbook_link(message.key, base=alerting.runbook_base)
    return {
        "text": f"[{market}] {message.status.upper()} {message.key}: {message.text} {link}",
        "status": message.status,
        "key": message.key,
        "market": market,
        "since": message.since,
        "description": message.text,
        "runbook": link,
    }


def _post(message: Message, alerting: Alerting, *, market: str) -> None:
    if alerting.webhook_url is None:
        return
    address = alerting.webhook_url.reveal()
    body = content(message, alerting, market=market)
    failure = None
    try:
        httpx.post(address, json=body, timeout=SECONDS).raise_for_status()
    except httpx.HTTPStatusError as error:
        failure = f"answered {error.response.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        failure = f"gave no answer ({type(error).__name__})"
    # Raised here: the error of the client carries the address, whose path is a secret.
    if failure is not None:
        raise AlertError(f"The webhook of ALERT_WEBHOOK_URL {failure}. It will be tried again.")


def _mail(message: Message, alerting: Alerting, *, market: str) -> None:
    body = content(message, alerting, market=market)
    mail = EmailMessage()
    mail["Subject"] = f"[{market}] {message.status}: {message.key}"
    mail["From"] = alerting.email_from
    mail["To"] = ", ".join(alerting.email_to)
    mail.set_content(f"{message.text}\n\nSince {message.since}\nRunbook: {body['runbook']}\n")
    failure = None
    try:
        with smtplib.SMTP(alerting.smtp_host, alerting.smtp_port, timeout=SECONDS) as server:
            if alerting.smtp_tls:
                server.starttls(context=ssl.create_default_context())
            if alerting.smtp_user and alerting.smtp_password is not None:
                server.login(alerting.smtp_user, alerting.smtp_password.reveal())
            server.send_message(mail)
    except (OSError, smtplib.SMTPException) as error:
        failure = type(error).__name__
    if failure is not None:
        raise AlertError(
            f"The mail server {alerting.smtp_host}:{alerting.smtp_port} did not take an alert "
            f"({failure}). Check the SMTP_ settings; it will be tried again."
        )
