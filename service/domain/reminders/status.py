"""The state machine of a reminder: status × event → status."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from schemas.enums import ReminderStatus
from service.domain.errors import InvalidTransition


class ReminderEvent(StrEnum):
    """What can happen to a reminder. The status history stores the values, and some that are not used any more."""

    REQUEST = "ask"  # The reader requests it, again or for later, or after a cancel: a new occurrence.
    ENQUEUE = "enqueue"  # It fell due, and its email is in the outbox.
    DELIVER = "deliver"  # The mail server accepted the email.
    REQUEST_CONFIRMATION = "ask_to_confirm"  # The mail server accepted the confirmation request.
    CONFIRM = "confirm"  # The reader confirms that they want it.
    REPEAT = "come_again"  # A repeating reminder is scheduled again: a new occurrence.
    FAIL = "fail"  # The email can never be delivered, or all attempts are used up.
    SKIP = "skip"  # The reader has paid since, or is suppressed.
    CANCEL = "cancel"  # The reader cancels it.
    REQUEUE = "send_back"  # Staff fixed the cause of a failure and retry it.


VERB_PHRASES: Final[Mapping[ReminderEvent, str]] = {
    ReminderEvent.REQUEST: "be asked for",
    ReminderEvent.ENQUEUE: "be enqueued",
    ReminderEvent.DELIVER: "be delivered",
    ReminderEvent.REQUEST_CONFIRMATION: "be asked about",
    ReminderEvent.CONFIRM: "be confirmed",
    ReminderEvent.REPEAT: "come again",
    ReminderEvent.FAIL: "fail",
    ReminderEvent.SKIP: "be skipped",
    ReminderEvent.CANCEL: "be cancelled",
    ReminderEvent.REQUEUE: "be sent back",
}

TRANSITIONS: Final[Mapping[tuple[ReminderStatus, ReminderEvent], ReminderStatus]] = {
    (ReminderStatus.SCHEDULED, ReminderEvent.ENQUEUE): ReminderStatus.SENDING,
    (ReminderStatus.SCHEDULED, ReminderEvent.SKIP): ReminderStatus.SKIPPED,
    (ReminderStatus.SCHEDULED, ReminderEvent.CANCEL): ReminderStatus.CANCELLED,
    (ReminderStatus.SENDING, ReminderEvent.DELIVER): ReminderStatus.SENT,
    (ReminderStatus.SENDING, ReminderEvent.REQUEST_CONFIRMATION): ReminderStatus.UNCONFIRMED,
    (ReminderStatus.SENDING, ReminderEvent.FAIL): ReminderStatus.FAILED,
    (ReminderStatus.SENDING, ReminderEvent.SKIP): ReminderStatus.SKIPPED,
    (ReminderStatus.SENDING, ReminderEvent.CANCEL): ReminderStatus.CANCELLED,
    (ReminderStatus.FAILED, ReminderEvent.REQUEUE): ReminderStatus.SENDING,
    (ReminderStatus.SENT, ReminderEvent.REPEAT): ReminderStatus.SCHEDULED,
    (ReminderStatus.SKIPPED, ReminderEvent.REPEAT): ReminderStatus.SCHEDULED,
    # A reader may confirm before we have recorded the request as sent, or with the link of an earlier request.
    **{
        (status, ReminderEvent.CONFIRM): ReminderStatus.SCHEDULED
        for status in (
            ReminderStatus.UNCONFIRMED,
            ReminderStatus.SCHEDULED,
            ReminderStatus.SENDING,
            ReminderStatus.FAILED,
        )
    },
    (ReminderStatus.UNCONFIRMED, ReminderEvent.CANCEL): ReminderStatus.CANCELLED,
    (ReminderStatus.SKIPPED, ReminderEvent.CANCEL): ReminderStatus.CANCELLED,
    # Without this, staff could retry a failed reminder that its reader has cancelled.
    (ReminderStatus.FAILED, ReminderEvent.CANCEL): ReminderStatus.CANCELLED,
    # A reader can cancel with the link in the reminder itself, and the cancel is recorded.
    (ReminderStatus.SENT, ReminderEvent.CANCEL): ReminderStatus.CANCELLED,
    # A reader has one reminder for a campaign, and a new request renews it from any status (docs/adr/0003). From
    # `sending` too: the email in the outbox is then cancelled, so its result changes nothing.
    **{(status, ReminderEvent.REQUEST): ReminderStatus.SCHEDULED for status in ReminderStatus},
}


def next_status(status: ReminderStatus, event: ReminderEvent) -> ReminderStatus:
    """Look up the transition table.

    Raises:
        InvalidTransition: the event is not allowed in this status.
    """
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise InvalidTransition(f"This reminder is {status}, so it cannot {VERB_PHRASES[event]}.") from None
