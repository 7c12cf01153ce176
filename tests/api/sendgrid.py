"""Batches of SendGrid with real signatures, as in its documentation."""

import base64
import datetime
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.container import Container
from tests.api.email_webhook_payloads import READER

SENDGRID = "/v1/webhooks/mail/sendgrid"
SIGNATURE, TIMESTAMP = "X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"


@cache
def signing_key(number: int) -> ec.EllipticCurvePrivateKey:
    """Return a key, the same one for each `number`."""
    return ec.generate_private_key(ec.SECP256R1())


def verification_key(key: Any = None) -> str:
    """Return the public key as SendGrid shows it."""
    public_key = (key or signing_key(0)).public_key()
    return base64.b64encode(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def sendgrid_event(name: str, **changes: Any) -> dict[str, Any]:
    """Return an event (https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event)."""
    return {
        "email": READER,
        "timestamp": 1795425900,
        "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
        "event": name,
        "category": ["cat facts"],
        "sg_event_id": "6g4ZI7SA-xmRDv57GoPIPw==",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
    } | changes


def sendgrid_bounce(**changes: Any) -> dict[str, Any]:
    """Return a bounce."""
    reason = "500 unknown recipient"
    return sendgrid_event("bounce", type="bounce", status="5.0.0", reason=reason, tls=1) | changes


def signed_headers(
    body: bytes, now: datetime.datetime, *, number: int = 0, age_seconds: float = 0, timestamp: str | None = None
) -> dict[str, str]:
    """Return the headers with which SendGrid sends this body."""
    timestamp = timestamp or str(int((now - datetime.timedelta(seconds=age_seconds)).timestamp()))
    signature = signing_key(number).sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: timestamp}


def post_sendgrid(client: FlaskClient, container: Container, events: object, **proof: Any) -> TestResponse:
    """Post a signed batch; bytes are posted as they are."""
    # SendGrid's own spacing: the signature covers the bytes, and not what they mean.
    body = events if isinstance(events, bytes) else json.dumps(events, indent=1).replace("\n", "\r\n").encode()
    return client.post(
        SENDGRID,
        data=body,
        headers=signed_headers(body, container.clock(), **proof),
        content_type="application/json",
    )
