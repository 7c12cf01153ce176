"""Brevo's webhooks, authenticated by a token: as a bearer token, or as the password in the webhook's URL.

Sources: https://developers.brevo.com/docs/transactional-webhooks, https://developers.brevo.com/docs/secured-webhooks
"""

import datetime
import hmac
from collections.abc import Mapping

from schemas.email_webhooks import BrevoEvent, parse_webhook_batch
from schemas.enums import SuppressionReason
from service.domain.ports import BounceReport, EmailWebhookProvider, InvalidWebhook
from service.gateways.email_webhooks.authorization import BASIC_CHALLENGE, basic_credentials, bearer_token
from service.gateways.email_webhooks.timestamps import parse_unix

# Not "blocked" and "error", which may be about the sender.
REASON_BY_EVENT = {
    "hard_bounce": SuppressionReason.HARD_BOUNCE,
    "invalid_email": SuppressionReason.HARD_BOUNCE,
    "spam": SuppressionReason.COMPLAINT,
    "complaint": SuppressionReason.COMPLAINT,
    "unsubscribe": SuppressionReason.UNSUBSCRIBE,
    "unsubscribed": SuppressionReason.UNSUBSCRIBE,
}


class BrevoWebhooks(EmailWebhookProvider):
    """Parses Brevo's webhooks; `token` is the secret that the newsroom gave Brevo."""

    name = "brevo"
    www_authenticate = f'{BASIC_CHALLENGE}, Bearer realm="mainstay"'

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def is_authentic(self, headers: Mapping[str, str], _body: bytes, _now: datetime.datetime, /) -> bool:
        """Whether the Authorization header has our token, under any name."""
        _, _, password = basic_credentials(headers).partition(b":")
        return hmac.compare_digest(bearer_token(headers) or password, self._token)

    def parse(self, body: bytes) -> list[BounceReport]:
        """Return the addresses that bounced permanently, complained or unsubscribed, of one event or a batch.

        Raises:
            InvalidWebhook: the body is not Brevo's.
        """
        try:
            events = parse_webhook_batch(BrevoEvent(), body)
        except ValueError as error:
            raise InvalidWebhook(self.name) from error
        return [
            BounceReport(address=event["email"], reason=reason, at=parse_unix(event["occurred_at"]))
            for event in events
            if (reason := REASON_BY_EVENT.get(event["event"])) and event["email"]
        ]
