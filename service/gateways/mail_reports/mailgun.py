"""What Mailgun reports, proven by a signature in the body.

The signature (HMAC-SHA256 over a time and a random token) does not cover what is reported, so that it proves only
that Mailgun once signed a report; hence it is good for a while and not for ever. The source is
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
"""

import datetime
import hmac
from collections.abc import Mapping
from typing import Any

from schemas.mail_report import MailgunWebhook, parse_webhook
from schemas.vocabulary import SuppressionReason
from service.domain.ports import MailReport, UnreadableReport

# A report that was not taken comes again for eight hours, and a repeat may carry the first one's signature.
GOOD_FOR = datetime.timedelta(hours=9)
CLOCKS_DIFFER_BY = datetime.timedelta(minutes=5)

EVENTS = {"complained": SuppressionReason.COMPLAINT, "unsubscribed": SuppressionReason.UNSUBSCRIBE}
# Why Mailgun did not even try; any other permanent failure is a server's word that the address is dead.
NOT_TRIED = {
    "suppress-complaint": SuppressionReason.COMPLAINT,
    "suppress-unsubscribe": SuppressionReason.UNSUBSCRIBE,
}
# Mailgun's own code for a mail that it tried in vain for hours: a server that is away is no dead address.
GAVE_UP = 602


class MailgunReporter:
    """Reads Mailgun's webhooks; `key` is the account's webhook signing key."""

    name = "mailgun"
    challenge: str | None = None

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def is_authentic(self, _headers: Mapping[str, str], body: bytes, now: datetime.datetime, /) -> bool:
        """Whether the signature is Mailgun's and not old.

        Raises:
            UnreadableReport: the body is not Mailgun's.
        """
        proof = self._load(body)["signature"]
        signed_at = _instant(proof["timestamp"])
        expected = hmac.digest(self._key, f"{proof['timestamp']}{proof['token']}".encode(), "sha256").hex()
        same = hmac.compare_digest(expected.encode(), proof["signature"].encode())
        return same and signed_at is not None and now - GOOD_FOR <= signed_at <= now + CLOCKS_DIFFER_BY

    def read(self, body: bytes) -> list[MailReport]:
        """Return the address that failed for good, complained or unsubscribed.

        Raises:
            UnreadableReport: the body is not Mailgun's.
        """
        event = self._load(body)["event"]
        reason, address = _reason(event), event.get("recipient")
        if reason is None or not address:
            return []
        return [MailReport(address=address, reason=reason, at=_instant(event.get("timestamp")))]

    def _load(self, body: bytes) -> dict[str, Any]:
        try:
            return parse_webhook(MailgunWebhook(), body)
        except ValueError as error:
            raise UnreadableReport(self.name) from error


def _reason(event: dict[str, Any]) -> SuppressionReason | None:
    if event["event"] != "failed":
        return EVENTS.get(event["event"])
    if event.get("severity") != "permanent" or (event.get("delivery") or {}).get("code") == GAVE_UP:
        return None
    return NOT_TRIED.get(event.get("reason") or "", SuppressionReason.HARD_BOUNCE)


def _instant(seconds: str | float | None) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromtimestamp(float(seconds or ""), datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return None
