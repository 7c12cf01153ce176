"""Webhooks of email services: one module for each service, and the table of those that are configured."""

from collections.abc import Callable

from service.domain.ports import EmailWebhookProvider
from service.gateways.email_webhooks.brevo import BrevoWebhooks
from service.gateways.email_webhooks.mailgun import MailgunWebhooks
from service.gateways.email_webhooks.postmark import PostmarkWebhooks
from service.gateways.email_webhooks.sendgrid import SendGridWebhooks
from service.gateways.email_webhooks.ses import SesWebhooks
from service.mail_settings import MailSettings


def configured_providers(settings: MailSettings) -> dict[str, EmailWebhookProvider]:
    """Return the services with credentials in the settings, by the name in the webhook's path."""
    services: list[tuple[str | None, Callable[[str], EmailWebhookProvider]]] = [
        (settings.postmark_credentials, PostmarkWebhooks),
        (settings.mailgun_key, MailgunWebhooks),
        (settings.ses_topic, SesWebhooks),
        (settings.sendgrid_key, SendGridWebhooks),
        (settings.brevo_token, BrevoWebhooks),
    ]
    providers = [make_provider(secret) for secret, make_provider in services if secret is not None]
    return {provider.name: provider for provider in providers}
