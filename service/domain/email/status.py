"""How a notice moves: one table of where it stands × what happened → where it stands next."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from schemas.enums import NotificationStatus
from service.db.models.email import Notification
from service.domain.errors import InvalidTransition


class NotificationEvent(StrEnum):
    """What can happen to a notice, in the newsroom's words."""

    CLAIM = "claim"  # A worker takes it, with a lease, to send its mail.
    DELIVER = "deliver"  # The mail server took the mail.
    RELEASE = "lose_lease"  # The worker vanished, or was stopped and handed the notice back.
    RETRY = "retry"  # The mail server asked to try again later.
    FAIL = "fail"  # The mail can never be delivered, or every try is used up.
    SKIP = "skip"  # There is nobody to tell, or nothing to tell any more.
    REQUEUE = "send_back"  # Staff mended the cause of a failure and want it tried again.


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
    """Return where a notice stands after the event.

    Raises:
        InvalidTransition: the event cannot happen to a notice that stands there.

    """
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise InvalidTransition(f"This notice is {status}, so it cannot {VERB_PHRASES[event]}.") from None


def transition_notification(
    notification: Notification, event: NotificationEvent, *, reason: str | None = None
) -> None:
    """Move a notice by its table. A notice is one mail, so its own row is all the history that it has.

    Raises:
        InvalidTransition: the notice cannot do this from where it stands.
    """
    notification.status = next_status(notification.status, event)
    notification.reason = reason
    if notification.status != NotificationStatus.SENDING:
        notification.leased_until = notification.leased_by = None
