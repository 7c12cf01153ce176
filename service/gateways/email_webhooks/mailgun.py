"""Mailgun's webhooks, authenticated by a signature in the body.

The signature (HMAC-SHA256 of a timestamp and a random token) does not cover the event, so it proves only that
Mailgun signed some request at that time. It is therefore accepted for a limited time, and for one event. Source:
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
"""

import datetime
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from schemas.email_webhooks import MailgunWebhook, parse_webhook
from schemas.enums import SuppressionReason
from service.domain.ports import BounceReport, EmailWebhookProvider, InvalidWebhook, WebhookProof
from service.gateways.email_webhooks.timestamps import parse_unix

# Mailgun retries a webhook for eight hours, and a retry may have the signature of the first request.
SIGNATURE_TTL = datetime.timedelta(hours=9)
MAX_CLOCK_SKEW = datetime.timedelta(minutes=5)

REASON_BY_EVENT = {"complained": SuppressionReason.COMPLAINT, "unsubscribed": SuppressionReason.UNSUBSCRIBE}
# Reasons for which Mailgun did not attempt delivery. Any other permanent failure is a hard bounce.
REASON_BY_SUPPRESSION = {
    "suppress-complaint": SuppressionReason.COMPLAINT,
    "suppress-unsubscribe": SuppressionReason.UNSUBSCRIBE,
}
# Mailgun's code for an email that it retried for hours. The server was down, which is no hard bounce.
TOO_OLD_CODE = 602


class MailgunWebhooks(EmailWebhookProvider):
    """Parses Mailgun's webhooks; `key` is the account's webhook signing key."""

    name = "mailgun"

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def is_authentic(self, _headers: Mapping[str, str], body: bytes, now: datetime.datetime, /) -> bool:
        """Whether the signature is valid and not expired.

        Raises:
            InvalidWebhook: the body is not Mailgun's.
        """
        signature = self._load(body)["signature"]
        signed_at = parse_unix(signature["timestamp"])
        expected = hmac.digest(self._key, f"{signature['timestamp']}{signature['token']}".encode(), "sha256").hex()
        is_valid = hmac.compare_digest(expected.encode(), signature["signature"].encode())
        return is_valid and signed_at is not None and now - SIGNATURE_TTL <= signed_at <= now + MAX_CLOCK_SKEW

    def proof(self, body: bytes) -> WebhookProof | None:
        """Return the signature, which counts for this event and its retries."""
        content = self._load(body)
        signature, event = content["signature"], json.dumps(content["event"], sort_keys=True)
        signed_at = parse_unix(signature["timestamp"])
        if signed_at is None:
            raise InvalidWebhook(self.name)
        return WebhookProof(
            id=hashlib.sha256(f"{self.name} {signature['timestamp']} {signature['token']}".encode()).digest(),
            report_hash=hashlib.sha256(event.encode()).digest(),
            expires_at=signed_at + SIGNATURE_TTL,
        )

    def parse(self, body: bytes) -> list[BounceReport]:
        """Return the address that bounced permanently, complained or unsubscribed, if any.

        Raises:
            InvalidWebhook: the body is not Mailgun's.
        """
        event = self._load(body)["event"]
        reason, address = _reason(event), event.get("recipient")
        if reason is None or not address:
            return []
        return [BounceReport(address=address, reason=reason, at=parse_unix(event.get("timestamp")))]

    def _load(self, body: bytes) -> dict[str, Any]:
        try:
            return parse_webhook(MailgunWebhook(), body)
        except ValueError as error:
            raise InvalidWebhook(self.name) from error


def _reason(event: dict[str, Any]) -> SuppressionReason | None:
    if event["event"] != "failed":
        return REASON_BY_EVENT.get(event["event"])
    if event.get("severity") != "permanent" or (event.get("delivery") or {}).get("code") == TOO_OLD_CODE:
        return None
    return REASON_BY_SUPPRESSION.get(event.get("reason") or "", SuppressionReason.HARD_BOUNCE)
