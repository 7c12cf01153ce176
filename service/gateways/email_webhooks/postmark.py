"""What Postmark reports, proven by a login in the address that it posts to (HTTP Basic, RFC 7617)."""

import base64
import binascii
import datetime
import hmac
from collections.abc import Mapping
from typing import Any

from schemas.email_webhooks import PostmarkWebhook, parse_webhook
from schemas.enums import SuppressionReason
from service.domain.ports import BounceReport, InvalidWebhook

# By the bounce types of https://postmarkapp.com/developer/api/bounce-api#bounce-types; of the others only those
# count for which Postmark itself sends nothing more to the address.
REASON_BY_BOUNCE_TYPE = {
    "HardBounce": SuppressionReason.HARD_BOUNCE,
    "BadEmailAddress": SuppressionReason.HARD_BOUNCE,
    "SpamComplaint": SuppressionReason.COMPLAINT,
    "Unsubscribe": SuppressionReason.UNSUBSCRIBE,
    "ManuallyDeactivated": SuppressionReason.UNSUBSCRIBE,
}
# A reader who unsubscribes at Postmark is a manual suppression to it.
REASON_BY_SUPPRESSION = {"HardBounce": SuppressionReason.HARD_BOUNCE, "SpamComplaint": SuppressionReason.COMPLAINT}


class PostmarkWebhooks:
    """Reads Postmark's webhooks; `login` is `name:password`."""

    name = "postmark"
    www_authenticate: str | None = 'Basic realm="mainstay", charset="UTF-8"'

    def __init__(self, login: str) -> None:
        self._login = login.encode()

    def is_authentic(self, headers: Mapping[str, str], _body: bytes, _now: datetime.datetime, /) -> bool:
        """Whether the name and the password are ours."""
        kind, _, given = headers.get("Authorization", "").partition(" ")
        try:
            login = base64.b64decode(given.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return kind.lower() == "basic" and hmac.compare_digest(login, self._login)

    def parse(self, body: bytes) -> list[BounceReport]:
        """Return the address that bounced for good, complained or unsubscribed.

        Raises:
            InvalidWebhook: the body is not Postmark's.
        """
        try:
            report = parse_webhook(PostmarkWebhook(), body)
        except ValueError as error:
            raise InvalidWebhook(self.name) from error
        reason = _reason(report)
        address = report.get("email") or report.get("recipient")
        if reason is None or not address:
            return []
        return [BounceReport(address=address, reason=reason, at=_parse_timestamp(report))]


def _reason(report: dict[str, Any]) -> SuppressionReason | None:
    match report["record_type"]:
        case "SpamComplaint":
            return SuppressionReason.COMPLAINT
        case "Bounce":
            return REASON_BY_BOUNCE_TYPE.get(
                report.get("type") or "", SuppressionReason.HARD_BOUNCE if report["inactive"] else None
            )
        case "SubscriptionChange" if report["suppress_sending"]:
            return REASON_BY_SUPPRESSION.get(report.get("suppression_reason") or "", SuppressionReason.UNSUBSCRIBE)
    # An address that was let in again at Postmark stays out here until staff lift it: the two lists differ.
    return None


def _parse_timestamp(report: dict[str, Any]) -> datetime.datetime | None:
    try:
        at = datetime.datetime.fromisoformat(report.get("bounced_at") or report.get("changed_at") or "")
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
