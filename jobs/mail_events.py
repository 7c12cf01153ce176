"""What the log calls what happens to mails, so that each of its names can be searched for as it stands."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EmailLogEvents:
    """The names for one kind of mail."""

    sent: str
    in_doubt: str
    delayed: str
    refused: str
    failed: str
    rendering_failed: str
    lease_lost: str
    batch_sent: str


REMINDER_LOG_EVENTS = EmailLogEvents(
    sent="reminder_sent",
    in_doubt="reminder_in_doubt",
    delayed="reminder_delayed",
    refused="reminder_refused",
    failed="reminder_failed",
    rendering_failed="reminder_unwritable",
    lease_lost="reminder_lease_lost",
    batch_sent="reminders_carried",
)
NOTIFICATION_LOG_EVENTS = EmailLogEvents(
    sent="notice_sent",
    in_doubt="notice_in_doubt",
    delayed="notice_delayed",
    refused="notice_refused",
    failed="notice_failed",
    rendering_failed="notice_unwritable",
    lease_lost="notice_lease_lost",
    batch_sent="notices_carried",
)
