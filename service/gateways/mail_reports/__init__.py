"""What mail services report about addresses: one file for each service, and its line in the table here."""

from service.domain.ports import MailReporter
from service.gateways.mail_reports.mailgun import MailgunReporter
from service.gateways.mail_reports.postmark import PostmarkReporter
from service.settings import MailSettings


def mail_reporters(settings: MailSettings) -> dict[str, MailReporter]:
    """Return who may report, by the name in the address that they post to: those that were given a proof."""
    reporters: list[tuple[str | None, type[PostmarkReporter] | type[MailgunReporter]]] = [
        (settings.postmark_login, PostmarkReporter),
        (settings.mailgun_key, MailgunReporter),
    ]
    return {kind.name: kind(secret) for secret, kind in reporters if secret is not None}
