"""The state machine of a notification: status × event → status."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from schemas.enums import NotificationStatus
from service.db.models.email import Notification
from service.domain.errors import InvalidTransition


class NotificationEvent(StrEnum):
    """What can happen to a notification. No history stores it, because a notification is a single email."""

    CLAIM = "claim"  # A worker takes a lease on it to send its email.
    DELIVER = "deliver"  # The mail server accepted the email.
    RELEASE = "lose_lease"  # The lease expired, or the worker stopped and released it.
    RETRY = "retry"  # The mail server reported a temporary failure.
    FAIL = "fail"  # The email can never be delivered, or all attempts are used up.
    SKIP = "skip"  # There is no recipient, or the email is no longer relevant.
    REQUEUE = "send_back"  # Staff fixed the cause of a failure and retry it.


VERB_PHRASES: Final[Mapping[NotificationEvent, str]] = {
    NotificationEvent.CLAIM: "be claimed",
    NotificationEvent.DELIVER: "be delivered",
    NotificationEvent.RELEASE: "be handed back",
    NotificationEvent.RETRY: "be retried",
    NotificationEvent.FAIL: "fail",
    NotificationEvent.SKIP: "be skipped",
    NotificationEvent.REQUEUE: "be sent back",
}

TRANSITIONS: Final[Mapping[tuple[NotificationStatus, NotificationEvent], NotificationStatus]] = {
    (NotificationStatus.SCHEDULED, NotificationEvent.CLAIM): NotificationStatus.SENDING,
    (NotificationStatus.SENDING, NotificationEvent.DELIVER): NotificationStatus.SENT,
    (NotificationStatus.SENDING, NotificationEvent.RELEASE): NotificationStatus.SCHEDULED,
    (NotificationStatus.SENDING, NotificationEvent.RETRY): NotificationStatus.SCHEDULED,
    (NotificationStatus.SENDING, NotificationEvent.FAIL): NotificationStatus.FAILED,
    (NotificationStatus.SENDING, NotificationEvent.SKIP): NotificationStatus.SKIPPED,
    (NotificationStatus.FAILED, NotificationEvent.REQUEUE): NotificationStatus.SCHEDULED,
}


def next_status(status: NotificationStatus, event: NotificationEvent) -> NotificationStatus:
    """Look up the transition table.

    Raises:
        InvalidTransition: the event is not allowed in this status.
    """
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise InvalidTransition(f"This notice is {status}, so it cannot {VERB_PHRASES[event]}.") from None


def transition_notification(
    notification: Notification, event: NotificationEvent, *, reason: str | None = None
) -> None:
    """Change a notification's status, and end its lease if it leaves `sending`.

    A notification is one email, so its own row is its only history.

    Raises:
        InvalidTransition: the event is not allowed in the notification's status.
    """
    notification.status = next_status(notification.status, event)
    notification.reason = reason
    if notification.status != NotificationStatus.SENDING:
        notification.leased_until = notification.leased_by = None
