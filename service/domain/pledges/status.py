"""The state machine of a pledge: one table of status × event → status."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from schemas.enums import PledgeStatus
from service.domain.errors import InvalidTransition


class PledgeEvent(StrEnum):
    """What can happen to a pledge. The status history stores the values."""

    COMPLETE = "settle_once"  # The payment of a one-time pledge arrived.
    START = "start"  # The first payment of a monthly or annual pledge arrived.
    DECLINE = "fail"  # A payment was declined; the reader may try again.
    AWAIT_PAYMENT = "await_payment"  # The checkout is complete, and the bank takes days to make the payment.
    BOUNCE = "bounce"  # The bank did not make the payment of a one-time pledge.
    EXPIRE = "expire"  # The reader abandoned the checkout.
    RENEW = "renew"  # The next payment of a recurring pledge arrived.
    PAYMENT_FAILED = "miss"  # The next payment of a recurring pledge failed.
    CANCEL = "cancel"  # The reader or the newsroom cancelled a recurring pledge.
    RESUME = "resume"  # Staff attached another subscription to a cancelled pledge.
    REFUND = "refund"  # A one-time pledge was refunded in full.
    REFUND_FAILED = "keep"  # The refund did not reach the reader; the newsroom has the money again.


VERB_PHRASES: Final[Mapping[PledgeEvent, str]] = {
    PledgeEvent.COMPLETE: "be completed",
    PledgeEvent.START: "start",
    PledgeEvent.DECLINE: "have a payment declined",
    PledgeEvent.AWAIT_PAYMENT: "wait for a payment",
    PledgeEvent.BOUNCE: "have its payment bounce",
    PledgeEvent.EXPIRE: "expire",
    PledgeEvent.RENEW: "be renewed",
    PledgeEvent.PAYMENT_FAILED: "miss a payment",
    PledgeEvent.CANCEL: "be cancelled",
    PledgeEvent.RESUME: "be resumed",
    PledgeEvent.REFUND: "be refunded",
    PledgeEvent.REFUND_FAILED: "have its refund reversed",
}

TRANSITIONS: Final[Mapping[tuple[PledgeStatus, PledgeEvent], PledgeStatus]] = {
    (PledgeStatus.PENDING, PledgeEvent.COMPLETE): PledgeStatus.COMPLETED,
    (PledgeStatus.PENDING, PledgeEvent.START): PledgeStatus.ACTIVE,
    (PledgeStatus.PENDING, PledgeEvent.DECLINE): PledgeStatus.PENDING,
    (PledgeStatus.PENDING, PledgeEvent.EXPIRE): PledgeStatus.EXPIRED,
    (PledgeStatus.PENDING, PledgeEvent.AWAIT_PAYMENT): PledgeStatus.PROCESSING,
    # A payment is never refused, even if the checkout took longer than its time limit.
    (PledgeStatus.EXPIRED, PledgeEvent.COMPLETE): PledgeStatus.COMPLETED,
    (PledgeStatus.EXPIRED, PledgeEvent.START): PledgeStatus.ACTIVE,
    (PledgeStatus.EXPIRED, PledgeEvent.AWAIT_PAYMENT): PledgeStatus.PROCESSING,
    (PledgeStatus.PROCESSING, PledgeEvent.COMPLETE): PledgeStatus.COMPLETED,
    (PledgeStatus.PROCESSING, PledgeEvent.START): PledgeStatus.ACTIVE,
    (PledgeStatus.PROCESSING, PledgeEvent.BOUNCE): PledgeStatus.EXPIRED,
    (PledgeStatus.PROCESSING, PledgeEvent.PAYMENT_FAILED): PledgeStatus.PAST_DUE,
    (PledgeStatus.PROCESSING, PledgeEvent.CANCEL): PledgeStatus.CANCELLED,
    (PledgeStatus.ACTIVE, PledgeEvent.RENEW): PledgeStatus.ACTIVE,
    (PledgeStatus.ACTIVE, PledgeEvent.PAYMENT_FAILED): PledgeStatus.PAST_DUE,
    (PledgeStatus.ACTIVE, PledgeEvent.CANCEL): PledgeStatus.CANCELLED,
    (PledgeStatus.PAST_DUE, PledgeEvent.RENEW): PledgeStatus.ACTIVE,
    (PledgeStatus.PAST_DUE, PledgeEvent.PAYMENT_FAILED): PledgeStatus.PAST_DUE,
    (PledgeStatus.PAST_DUE, PledgeEvent.CANCEL): PledgeStatus.CANCELLED,
    (PledgeStatus.CANCELLED, PledgeEvent.RESUME): PledgeStatus.ACTIVE,
    (PledgeStatus.COMPLETED, PledgeEvent.REFUND): PledgeStatus.REFUNDED,
    (PledgeStatus.REFUNDED, PledgeEvent.REFUND_FAILED): PledgeStatus.COMPLETED,
}

# The gateway charges a recurring pledge in one of these regularly, or tries to.
RUNNING_STATUSES: Final = tuple(status for status in PledgeStatus if (status, PledgeEvent.CANCEL) in TRANSITIONS)


def next_status(status: PledgeStatus, event: PledgeEvent) -> PledgeStatus:
    """Look up the transition table.

    Raises:
        InvalidTransition: the event is not allowed in this status.
    """
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise InvalidTransition(
            f"This pledge is {_describe(status)}, so it cannot {VERB_PHRASES[event]}."
        ) from None


def transition_path(before: PledgeStatus, after: PledgeStatus) -> list[PledgeEvent]:
    """Return the shortest list of events from one status to another; empty if they are the same.

    Raises:
        InvalidTransition: no events lead there.
    """
    paths: dict[PledgeStatus, list[PledgeEvent]] = {before: []}
    queue = [before]
    for status in queue:
        for (start, event), end in TRANSITIONS.items():
            if start == status and end not in paths:
                paths[end] = [*paths[status], event]
                queue.append(end)
    if after not in paths:
        raise InvalidTransition(f"This pledge is {_describe(before)}, so it cannot become {_describe(after)}.")
    return paths[after]


def _describe(status: PledgeStatus) -> str:
    return status.replace("_", " ")
