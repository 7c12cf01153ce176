"""What Mailgun reports, proven by a signature in the body.

The signature (HMAC-SHA256 over a time and a random token) does not cover what is reported, so that it proves only
that Mailgun once signed a report; hence it is good for a while and not for ever. The source is
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
"""

import datetime
import hmac
from collections.abc import Mapping
from typing import Any

from schemas.email_webhooks import MailgunWebhook, parse_webhook
from schemas.enums import SuppressionReason
from service.domain.ports import BounceReport, InvalidWebhook

# A report that was not taken comes again for eight hours, and a repeat may carry the first one's signature.
SIGNATURE_TTL = datetime.timedelta(hours=9)
MAX_CLOCK_SKEW = datetime.timedelta(minutes=5)

REASON_BY_EVENT = {"complained": SuppressionReason.COMPLAINT, "unsubscribed": SuppressionReason.UNSUBSCRIBE}
# Why Mailgun did not even try; any other permanent failure is a server's word that the address is dead.
REASON_BY_SUPPRESSION = {
    "suppress-complaint": SuppressionReason.COMPLAINT,
    "suppress-unsubscribe": SuppressionReason.UNSUBSCRIBE,
}
# Mailgun's own code for a mail that it tried in vain for hours: a server that is away is no dead address.
TOO_OLD_CODE = 602


class MailgunWebhooks:
    """Reads Mailgun's webhooks; `key` is the account's webhook signing key."""

    name = "mailgun"
    www_authenticate: str | None = None

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def is_authentic(self, _headers: Mapping[str, str], body: bytes, now: datetime.datetime, /) -> bool:
        """Whether the signature is Mailgun's and not old.

        Raises:
            InvalidWebhook: the body is not Mailgun's.
        """
        proof = self._load(body)["signature"]
        signed_at = _parse_timestamp(proof["timestamp"])
        expected = hmac.digest(self._key, f"{proof['timestamp']}{proof['token']}".encode(), "sha256").hex()
        same = hmac.compare_digest(expected.encode(), proof["signature"].encode())
        return same and signed_at is not None and now - SIGNATURE_TTL <= signed_at <= now + MAX_CLOCK_SKEW

    def parse(self, body: bytes) -> list[BounceReport]:
        """Return the address that failed for good, complained or unsubscribed.

        Raises:
            InvalidWebhook: the body is not Mailgun's.
        """
        event = self._load(body)["event"]
        reason, address = _reason(event), event.get("recipient")
        if reason is None or not address:
            return []
        return [BounceReport(address=address, reason=reason, at=_parse_timestamp(event.get("timestamp")))]

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


def _parse_timestamp(seconds: str | float | None) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromtimestamp(float(seconds or ""), datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return None
