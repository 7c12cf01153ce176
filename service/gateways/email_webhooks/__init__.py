"""Webhooks of email services: one module for each service, and the table of those that are configured."""

from service.domain.ports import EmailWebhookProvider
from service.gateways.email_webhooks.mailgun import MailgunWebhooks
from service.gateways.email_webhooks.postmark import PostmarkWebhooks
from service.settings import MailSettings


def configured_providers(settings: MailSettings) -> dict[str, EmailWebhookProvider]:
    """Return the services with credentials in the settings, by the name in the webhook's path."""
    providers: list[tuple[str | None, type[PostmarkWebhooks] | type[MailgunWebhooks]]] = [
        (settings.postmark_credentials, PostmarkWebhooks),
        (settings.mailgun_key, MailgunWebhooks),
    ]
    return {provider.name: provider(secret) for secret, provider in providers if secret is not None}
