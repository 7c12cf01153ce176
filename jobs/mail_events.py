"""What the log calls what happens to mails, so that each of its names can be searched for as it stands."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MailEvents:
    """The names for one kind of mail."""

    sent: str
    in_doubt: str
    delayed: str
    refused: str
    failed: str
    unwritable: str
    lease_lost: str
    carried: str


REMINDERS = MailEvents(
    sent="reminder_sent",
    in_doubt="reminder_in_doubt",
    delayed="reminder_delayed",
    refused="reminder_refused",
    failed="reminder_failed",
    unwritable="reminder_unwritable",
    lease_lost="reminder_lease_lost",
    carried="reminders_carried",
)
NOTICES = MailEvents(
    sent="notice_sent",
    in_doubt="notice_in_doubt",
    delayed="notice_delayed",
    refused="notice_refused",
    failed="notice_failed",
    unwritable="notice_unwritable",
    lease_lost="notice_lease_lost",
    carried="notices_carried",
)
