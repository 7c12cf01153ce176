"""How a reminder moves: one table of where it stands × what happened → where it stands next."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from schemas.enums import ReminderStatus
from service.domain.errors import InvalidTransition


class ReminderEvent(StrEnum):
    """What can happen to a reminder, in the newsroom's words."""

    REQUEST = "ask"  # The reader asks, again or for later, or takes a cancel back: a new occurrence.
    CLAIM = "claim"  # A worker takes it, with a lease, to send its mail.
    DELIVER = "deliver"  # The mail server took the mail.
    REQUEST_CONFIRMATION = "ask_to_confirm"  # The mail server took the mail that asks whether the reader wants it.
    CONFIRM = "confirm"  # The reader says that they do.
    REPEAT = "come_again"  # A reminder that repeats is set for its next time: a new occurrence.
    RELEASE = "lose_lease"  # The worker vanished, or was stopped and handed the reminder back.
    RETRY = "retry"  # The mail server asked to try again later.
    FAIL = "fail"  # The mail can never be delivered, or every try is used up.
    SKIP = "skip"  # The reader gave already, or asked for no mail at all.
    CANCEL = "cancel"  # The reader wants no reminder.
    REQUEUE = "send_back"  # Staff mended the cause of a failure and want it tried again.


VERB_PHRASES: Final[Mapping[ReminderEvent, str]] = {
    ReminderEvent.REQUEST: "be asked for",
    ReminderEvent.CLAIM: "be claimed",
    ReminderEvent.DELIVER: "be delivered",
    ReminderEvent.REQUEST_CONFIRMATION: "be asked about",
    ReminderEvent.CONFIRM: "be confirmed",
    ReminderEvent.REPEAT: "come again",
    ReminderEvent.RELEASE: "be handed back",
    ReminderEvent.RETRY: "be retried",
    ReminderEvent.FAIL: "fail",
    ReminderEvent.SKIP: "be skipped",
    ReminderEvent.CANCEL: "be cancelled",
    ReminderEvent.REQUEUE: "be sent back",
}

TRANSITIONS: Final[Mapping[tuple[ReminderStatus, ReminderEvent], ReminderStatus]] = {
    (ReminderStatus.SCHEDULED, ReminderEvent.CLAIM): ReminderStatus.SENDING,
    (ReminderStatus.SCHEDULED, ReminderEvent.SKIP): ReminderStatus.SKIPPED,
    (ReminderStatus.SCHEDULED, ReminderEvent.CANCEL): ReminderStatus.CANCELLED,
    (ReminderStatus.SENDING, ReminderEvent.DELIVER): ReminderStatus.SENT,
    (ReminderStatus.SENDING, ReminderEvent.REQUEST_CONFIRMATION): ReminderStatus.UNCONFIRMED,
    (ReminderStatus.SENDING, ReminderEvent.RELEASE): ReminderStatus.SCHEDULED,
    (ReminderStatus.SENDING, ReminderEvent.RETRY): ReminderStatus.SCHEDULED,
    (ReminderStatus.SENDING, ReminderEvent.FAIL): ReminderStatus.FAILED,
    (ReminderStatus.SENDING, ReminderEvent.SKIP): ReminderStatus.SKIPPED,
    (ReminderStatus.SENDING, ReminderEvent.CANCEL): ReminderStatus.CANCELLED,
    (ReminderStatus.FAILED, ReminderEvent.REQUEUE): ReminderStatus.SCHEDULED,
    (ReminderStatus.SENT, ReminderEvent.REPEAT): ReminderStatus.SCHEDULED,
    (ReminderStatus.SKIPPED, ReminderEvent.REPEAT): ReminderStatus.SCHEDULED,
    # A reader may be quicker than our record of the mail that asked them, or follow the link of an earlier one.
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
    # Without this, a reminder that its reader cancelled after a failure could still be sent back by staff.
    (ReminderStatus.FAILED, ReminderEvent.CANCEL): ReminderStatus.CANCELLED,
    # Who cancels from the mail itself is told that it is done, and their wish is on record.
    (ReminderStatus.SENT, ReminderEvent.CANCEL): ReminderStatus.CANCELLED,
    # A reader has one reminder for a campaign, and asking renews it from wherever it stands (docs/adr/0003). From
    # `sending` too: the worker with the mail in hand has then lost its lease, so its report changes nothing.
    **{(status, ReminderEvent.REQUEST): ReminderStatus.SCHEDULED for status in ReminderStatus},
}


def next_status(status: ReminderStatus, event: ReminderEvent) -> ReminderStatus:
    """Return where a reminder stands after the event.

    Raises:
        InvalidTransition: the event cannot happen to a reminder that stands there.

    """
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise InvalidTransition(f"This reminder is {status}, so it cannot {VERB_PHRASES[event]}.") from None
