"""Postmark's webhooks, authenticated by credentials in the webhook's URL (HTTP Basic, RFC 7617)."""

import datetime
import hmac
from collections.abc import Mapping
from typing import Any

from schemas.email_webhooks import PostmarkWebhook, parse_webhook
from schemas.enums import SuppressionReason
from service.domain.ports import BounceReport, EmailWebhookProvider, InvalidWebhook
from service.gateways.email_webhooks.authorization import BASIC_CHALLENGE, basic_credentials
from service.gateways.email_webhooks.timestamps import parse_iso

# The bounce types of https://postmarkapp.com/developer/api/bounce-api#bounce-types. Any other type counts only if
# Postmark has deactivated the address.
REASON_BY_BOUNCE_TYPE = {
    "HardBounce": SuppressionReason.HARD_BOUNCE,
    "BadEmailAddress": SuppressionReason.HARD_BOUNCE,
    "SpamComplaint": SuppressionReason.COMPLAINT,
    "Unsubscribe": SuppressionReason.UNSUBSCRIBE,
    "ManuallyDeactivated": SuppressionReason.UNSUBSCRIBE,
}
# Postmark reports an unsubscribe as a manual suppression.
REASON_BY_SUPPRESSION = {"HardBounce": SuppressionReason.HARD_BOUNCE, "SpamComplaint": SuppressionReason.COMPLAINT}


class PostmarkWebhooks(EmailWebhookProvider):
    """Parses Postmark's webhooks; `credentials` is `name:password`."""

    name = "postmark"
    www_authenticate = BASIC_CHALLENGE

    def __init__(self, credentials: str) -> None:
        self._credentials = credentials.encode()

    def is_authentic(self, headers: Mapping[str, str], _body: bytes, _now: datetime.datetime, /) -> bool:
        """Whether the Authorization header has our name and password."""
        return hmac.compare_digest(basic_credentials(headers), self._credentials)

    def parse(self, body: bytes) -> list[BounceReport]:
        """Return the address that bounced permanently, complained or unsubscribed, if any.

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
        at = parse_iso(report.get("bounced_at") or report.get("changed_at"))
        return [BounceReport(address=address, reason=reason, at=at)]


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
    # An address that is reactivated at Postmark stays suppressed here until staff lift that.
    return None
