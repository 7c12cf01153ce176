"""Webhook payloads of Postmark and Mailgun, as in their documentation, and helpers to read suppressions."""

import base64
import datetime
import hashlib
import hmac
import json
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from schemas.enums import SuppressionReason
from service.container import Container
from service.db.models.email import Suppression
from service.domain.email import suppression

READER = "reader@example.org"
LOGIN = "desk:a long pass:word"
KEY = "a-signing-key-that-only-the-tests-know"
TOKEN = "e" * 50
POSTMARK, MAILGUN = "/v1/webhooks/mail/postmark", "/v1/webhooks/mail/mailgun"


def bounce(**changes: Any) -> dict[str, Any]:
    """Return a bounce event (https://postmarkapp.com/developer/webhooks/bounce-webhook)."""
    return {
        "RecordType": "Bounce",
        "MessageStream": "outbound",
        "ID": 4323372036854775807,
        "Type": "HardBounce",
        "TypeCode": 1,
        "Name": "Hard bounce",
        "Tag": "",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Metadata": {"a_key": "a_value"},
        "ServerID": 23,
        "Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
        "Details": "smtp;550 5.1.1 The email account that you tried to reach does not exist.",
        "Email": READER,
        "From": "support@news.example",
        "BouncedAt": "2026-11-23T09:25:00.1234567Z",
        "DumpAvailable": True,
        "Inactive": True,
        "CanActivate": True,
        "Subject": "You asked us to remind you",
    } | changes


def complaint(**changes: Any) -> dict[str, Any]:
    """Return a spam complaint event (https://postmarkapp.com/developer/webhooks/spam-complaint-webhook)."""
    return bounce(RecordType="SpamComplaint", Type="SpamComplaint", TypeCode=512, CanActivate=False) | changes


def subscription(**changes: Any) -> dict[str, Any]:
    """Return a subscription change event (https://postmarkapp.com/developer/webhooks/subscription-change-webhook)."""
    return {
        "RecordType": "SubscriptionChange",
        "MessageID": None,
        "ServerID": 23,
        "MessageStream": "outbound",
        "ChangedAt": "2026-11-23T09:25:00Z",
        "Recipient": READER,
        "Origin": "Recipient",
        "SuppressSending": True,
        "SuppressionReason": "ManualSuppression",
        "Tag": None,
        "Metadata": {},
    } | changes


def event(name: str, **changes: Any) -> dict[str, Any]:
    """Return a Mailgun event (https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads)."""
    return {
        "event": name,
        "id": "CCXMjJ7nQi2N3BPigGOdgQ",
        "timestamp": 1795425900.123456,
        "log-level": "error",
        "recipient": READER,
        "recipient-domain": "example.org",
        "message": {"headers": {"to": READER, "from": "support@news.example", "subject": "You asked us"}},
        "flags": {"is-routed": False, "is-authenticated": True, "is-test-mode": False},
        "user-variables": {},
    } | changes


def failure(*, severity: str = "permanent", code: int = 550, reason: str = "bounce") -> dict[str, Any]:
    """Return a Mailgun event for a failed delivery."""
    status = {"attempt-no": 1, "code": code, "message": "no such user", "session-seconds": 0.1}
    return event("failed", **{"severity": severity, "reason": reason, "delivery-status": status})


def signature(container: Container, *, key: str = KEY, age_seconds: int = 0) -> dict[str, str]:
    """Return a Mailgun signature of the given age."""
    timestamp = str(int((container.clock() - datetime.timedelta(seconds=age_seconds)).timestamp()))
    proof = hmac.new(key.encode(), f"{timestamp}{TOKEN}".encode(), hashlib.sha256).hexdigest()
    return {"timestamp": timestamp, "token": TOKEN, "signature": proof}


def basic_auth_header(credentials: str = LOGIN) -> dict[str, str]:
    """Return a header for HTTP Basic authentication."""
    return {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}


def post_postmark(client: FlaskClient, report: object, **headers: str) -> TestResponse:
    """Post an authenticated Postmark webhook."""
    return client.post(POSTMARK, data=json.dumps(report), headers=headers or basic_auth_header())


def post_mailgun(client: FlaskClient, container: Container, report: object, **proof: Any) -> TestResponse:
    """Post a signed Mailgun webhook."""
    return client.post(MAILGUN, json={"signature": signature(container, **proof), "event-data": report})


def suppressions_for(container: Container, address: str = READER) -> dict[str, SuppressionReason]:
    """Return the suppressions of an address: scope → reason."""
    with container.database.read_only() as session:
        return {row.scope: row.reason for row in suppression.suppressions_for(session, address)}


def all_suppressions(container: Container) -> list[Suppression]:
    """Return all suppressions."""
    with container.database.read_only() as session:
        return list(session.scalars(select(Suppression)))
