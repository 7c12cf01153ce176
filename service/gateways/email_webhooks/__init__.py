"""What mail services report about addresses: one file for each service, and its line in the table here."""

from service.domain.ports import EmailWebhookProvider
from service.gateways.email_webhooks.mailgun import MailgunWebhooks
from service.gateways.email_webhooks.postmark import PostmarkWebhooks
from service.settings import MailSettings


def configured_providers(settings: MailSettings) -> dict[str, EmailWebhookProvider]:
    """Return who may report, by the name in the address that they post to: those that were given a proof."""
    reporters: list[tuple[str | None, type[PostmarkWebhooks] | type[MailgunWebhooks]]] = [
        (settings.postmark_credentials, PostmarkWebhooks),
        (settings.mailgun_key, MailgunWebhooks),
    ]
    return {kind.name: kind(secret) for secret, kind in reporters if secret is not None}
