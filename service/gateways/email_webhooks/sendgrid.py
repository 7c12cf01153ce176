"""SendGrid's Event Webhook, authenticated by a signature in headers, which covers the time and the whole body.

Sources: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event and
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
"""

import base64
import datetime
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from schemas.email_webhooks import SendGridEvent, parse_webhook_batch
from schemas.enums import SuppressionReason
from service.domain.ports import BounceReport, EmailWebhookProvider, InvalidWebhook
from service.gateways.email_webhooks.encoding import decode_base64
from service.gateways.email_webhooks.timestamps import parse_unix

SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"
# SendGrid retries a batch for a day, and does not say whether it signs it again.
SIGNATURE_TTL = datetime.timedelta(hours=25)
MAX_CLOCK_SKEW = datetime.timedelta(minutes=5)

REASON_BY_EVENT = {
    "spamreport": SuppressionReason.COMPLAINT,
    "unsubscribe": SuppressionReason.UNSUBSCRIBE,
    "group_unsubscribe": SuppressionReason.UNSUBSCRIBE,
}
# Why SendGrid did not attempt delivery, in lower case. Its other reasons are not about the address.
REASON_BY_DROP = {
    "bounced address": SuppressionReason.HARD_BOUNCE,
    "invalid": SuppressionReason.HARD_BOUNCE,
    "spam reporting address": SuppressionReason.COMPLAINT,
    "unsubscribed address": SuppressionReason.UNSUBSCRIBE,
}


class SendGridWebhooks(EmailWebhookProvider):
    """Parses SendGrid's webhooks; `key` is the verification key: a P-256 key in DER and base64."""

    name = "sendgrid"

    def __init__(self, key: str) -> None:
        public_key = load_der_public_key(base64.b64decode(key))
        if not isinstance(public_key, EllipticCurvePublicKey):
            raise TypeError("this is no key for ECDSA")
        self._key = public_key

    def is_authentic(self, headers: Mapping[str, str], body: bytes, now: datetime.datetime, /) -> bool:
        """Whether the signature is valid and not expired."""
        timestamp = headers.get(TIMESTAMP_HEADER, "")
        signature = decode_base64(headers.get(SIGNATURE_HEADER, ""))
        signed_at = parse_unix(timestamp)
        if not signature or signed_at is None:
            return False
        try:
            self._key.verify(signature, timestamp.encode() + body, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return now - SIGNATURE_TTL <= signed_at <= now + MAX_CLOCK_SKEW

    def parse(self, body: bytes) -> list[BounceReport]:
        """Return the addresses in the batch that bounced permanently, complained or unsubscribed.

        Raises:
            InvalidWebhook: the body is not SendGrid's.
        """
        try:
            events = parse_webhook_batch(SendGridEvent(), body)
        except ValueError as error:
            raise InvalidWebhook(self.name) from error
        reasons = [(event, _reason(event)) for event in events]
        return [
            BounceReport(address=event["email"], reason=reason, at=parse_unix(event["timestamp"]))
            for event, reason in reasons
            if reason is not None and event["email"]
        ]


def _reason(event: dict[str, Any]) -> SuppressionReason | None:
    match event["event"]:
        # A blocked email was refused for its content or its sender, and not for its address.
        case "bounce" if event["type"] in (None, "bounce"):
            return SuppressionReason.HARD_BOUNCE
        case "dropped":
            return REASON_BY_DROP.get((event["reason"] or "").lower())
    return REASON_BY_EVENT.get(event["event"])
