"""The state machine of an email: status × event → status."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from schemas.enums import EmailStatus
from service.db.models.email import OutgoingEmail
from service.domain.errors import InvalidTransition


class EmailEvent(StrEnum):
    """What can happen to an email. Its own row is its only history."""

    CLAIM = "claim"  # A worker takes a lease on it.
    DELIVER = "deliver"  # The mail server accepted it.
    RELEASE = "release"  # The lease expired, or the worker stopped and released it.
    RETRY = "retry"  # The mail server reported a temporary failure.
    FAIL = "fail"  # It can never be delivered, or all attempts are used up.
    SKIP = "skip"  # There is no recipient, or it is no longer relevant.
    CANCEL = "cancel"  # What it is about was cancelled or renewed.
    REQUEUE = "requeue"  # Staff fixed the cause of a failure and retry it.


VERB_PHRASES: Final[Mapping[EmailEvent, str]] = {
    EmailEvent.CLAIM: "be claimed",
    EmailEvent.DELIVER: "be delivered",
    EmailEvent.RELEASE: "be released",
    EmailEvent.RETRY: "be retried later",
    EmailEvent.FAIL: "fail",
    EmailEvent.SKIP: "be skipped",
    EmailEvent.CANCEL: "be cancelled",
    EmailEvent.REQUEUE: "be retried",
}

TRANSITIONS: Final[Mapping[tuple[EmailStatus, EmailEvent], EmailStatus]] = {
    (EmailStatus.SCHEDULED, EmailEvent.CLAIM): EmailStatus.SENDING,
    (EmailStatus.SCHEDULED, EmailEvent.CANCEL): EmailStatus.CANCELLED,
    # Staff say that it was sent before a backup was restored.
    (EmailStatus.SCHEDULED, EmailEvent.SKIP): EmailStatus.SKIPPED,
    (EmailStatus.SENDING, EmailEvent.DELIVER): EmailStatus.SENT,
    (EmailStatus.SENDING, EmailEvent.RELEASE): EmailStatus.SCHEDULED,
    (EmailStatus.SENDING, EmailEvent.RETRY): EmailStatus.SCHEDULED,
    (EmailStatus.SENDING, EmailEvent.FAIL): EmailStatus.FAILED,
    (EmailStatus.SENDING, EmailEvent.SKIP): EmailStatus.SKIPPED,
    (EmailStatus.SENDING, EmailEvent.CANCEL): EmailStatus.CANCELLED,
    (EmailStatus.FAILED, EmailEvent.REQUEUE): EmailStatus.SCHEDULED,
    # A failed reminder that its reader cancels or renews must not be retried by staff.
    (EmailStatus.FAILED, EmailEvent.CANCEL): EmailStatus.CANCELLED,
}


def next_status(status: EmailStatus, event: EmailEvent) -> EmailStatus:
    """Look up the transition table.

    Raises:
        InvalidTransition: the event is not allowed in this status.
    """
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise InvalidTransition(f"This email is {status}, so it cannot {VERB_PHRASES[event]}.") from None


def transition_email(email: OutgoingEmail, event: EmailEvent, *, reason: str | None = None) -> None:
    """Change an email's status, and end its lease if it leaves `sending`.

    Raises:
        InvalidTransition: the event is not allowed in the email's status.
    """
    email.status = next_status(email.status, event)
    email.reason = reason
    if email.status != EmailStatus.SENDING:
        email.leased_until = email.leased_by = None
