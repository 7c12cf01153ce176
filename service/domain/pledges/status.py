"""How a pledge moves: one table of where it stands × what happened → where it stands next."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from schemas.enums import PledgeStatus
from service.domain.errors import InvalidTransition


class PledgeEvent(StrEnum):
    """What can happen to a pledge, in the newsroom's words."""

    COMPLETE = "settle_once"  # The money of a one-time pledge arrived.
    START = "start"  # The first money of a monthly or annual pledge arrived.
    DECLINE = "fail"  # A try was declined; the reader may try again.
    EXPIRE = "expire"  # The reader walked away from the checkout.
    RENEW = "renew"  # The next money of a recurring pledge arrived.
    PAYMENT_FAILED = "miss"  # The next money of a recurring pledge did not arrive.
    CANCEL = "cancel"  # The reader or the newsroom ended a recurring pledge.
    REFUND = "refund"  # All the money of a one-time pledge went back.
    REFUND_FAILED = "keep"  # Money that went back did not reach the reader, and is with the newsroom again.


VERB_PHRASES: Final[Mapping[PledgeEvent, str]] = {
    PledgeEvent.COMPLETE: "be settled",
    PledgeEvent.START: "start",
    PledgeEvent.DECLINE: "fail to be paid",
    PledgeEvent.EXPIRE: "expire",
    PledgeEvent.RENEW: "be renewed",
    PledgeEvent.PAYMENT_FAILED: "miss a payment",
    PledgeEvent.CANCEL: "be cancelled",
    PledgeEvent.REFUND: "be refunded",
    PledgeEvent.REFUND_FAILED: "keep what went back",
}

TRANSITIONS: Final[Mapping[tuple[PledgeStatus, PledgeEvent], PledgeStatus]] = {
    (PledgeStatus.PENDING, PledgeEvent.COMPLETE): PledgeStatus.COMPLETED,
    (PledgeStatus.PENDING, PledgeEvent.START): PledgeStatus.ACTIVE,
    (PledgeStatus.PENDING, PledgeEvent.DECLINE): PledgeStatus.PENDING,
    (PledgeStatus.PENDING, PledgeEvent.EXPIRE): PledgeStatus.EXPIRED,
    # Money that arrives is never refused, even when the checkout took longer than we waited.
    (PledgeStatus.EXPIRED, PledgeEvent.COMPLETE): PledgeStatus.COMPLETED,
    (PledgeStatus.EXPIRED, PledgeEvent.START): PledgeStatus.ACTIVE,
    (PledgeStatus.ACTIVE, PledgeEvent.RENEW): PledgeStatus.ACTIVE,
    (PledgeStatus.ACTIVE, PledgeEvent.PAYMENT_FAILED): PledgeStatus.PAST_DUE,
    (PledgeStatus.ACTIVE, PledgeEvent.CANCEL): PledgeStatus.CANCELLED,
    (PledgeStatus.PAST_DUE, PledgeEvent.RENEW): PledgeStatus.ACTIVE,
    (PledgeStatus.PAST_DUE, PledgeEvent.PAYMENT_FAILED): PledgeStatus.PAST_DUE,
    (PledgeStatus.PAST_DUE, PledgeEvent.CANCEL): PledgeStatus.CANCELLED,
    (PledgeStatus.COMPLETED, PledgeEvent.REFUND): PledgeStatus.REFUNDED,
    (PledgeStatus.REFUNDED, PledgeEvent.REFUND_FAILED): PledgeStatus.COMPLETED,
}


def next_status(status: PledgeStatus, event: PledgeEvent) -> PledgeStatus:
    """Return where a pledge stands after the event.

    Raises:
        InvalidTransition: the event cannot happen to a pledge that stands there.

    """
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        stands = status.replace("_", " ")
        raise InvalidTransition(f"This pledge is {stands}, so it cannot {VERB_PHRASES[event]}.") from None


def transition_path(before: PledgeStatus, after: PledgeStatus) -> list[PledgeEvent]:
    """Return the fewest events that lead from one status to another; none if they are the same.

    Raises:
        InvalidTransition: no events lead there.
    """
    ways: dict[PledgeStatus, list[PledgeEvent]] = {before: []}
    ahead = [before]
    for here in ahead:
        for (start, event), end in TRANSITIONS.items():
            if start == here and end not in ways:
                ways[end] = [*ways[here], event]
                ahead.append(end)
    if after not in ways:
        stands, wanted = before.replace("_", " "), after.replace("_", " ")
        raise InvalidTransition(f"This pledge is {stands}, so it cannot become {wanted}.")
    return ways[after]
