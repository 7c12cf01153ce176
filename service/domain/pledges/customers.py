"""The customers at the payment gateway that supporters pay as: each pledge stores its own.

A supporter pays as the same customer again where we know the address to be theirs, so that a new card is used for
all their pledges. An address that somebody typed proves nothing.
"""

import uuid
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import Frequency
from service.db.models.pledge import Pledge
from service.domain.pledges.renewals import SANDBOX_GATEWAY
from service.domain.pledges.status import RUNNING_STATUSES


def reusable_customer(
    session: Session, supporter_id: uuid.UUID, *, gateway: str, frequency: Frequency, currency: str
) -> str | None:
    """Return the customer that a supporter should pay a new pledge as; None if it needs a new one.

    A customer with running pledges comes first, then the latest. At Stripe, all subscriptions of a customer are in
    one currency (https://docs.stripe.com/billing/customer), so a recurring pledge in another one needs another
    customer.
    """
    pledges = session.scalars(
        select(Pledge)
        .where(
            Pledge.supporter_id == supporter_id, Pledge.gateway == gateway, Pledge.customer_reference.is_not(None)
        )
        .order_by(Pledge.status.in_(RUNNING_STATUSES).desc(), Pledge.id.desc())
    ).all()
    in_another_currency = {
        pledge.customer_reference
        for pledge in pledges
        if pledge.frequency != Frequency.ONCE and pledge.currency != currency and frequency != Frequency.ONCE
    }
    references = (pledge.customer_reference for pledge in pledges)
    return next((reference for reference in references if reference not in in_another_currency), None)


def pledges_with_same_supporter(session: Session, pledge: Pledge) -> list[Pledge]:
    """Return the running recurring pledges of this pledge's supporter."""
    if pledge.supporter_id is None:
        return []
    query = select(Pledge).where(
        Pledge.supporter_id == pledge.supporter_id,
        Pledge.frequency != Frequency.ONCE,
        Pledge.status.in_(RUNNING_STATUSES),
    )
    return list(session.scalars(query.order_by(Pledge.id)))


def group_by_customer(pledges: Iterable[Pledge]) -> list[list[Pledge]]:
    """Return the running recurring ones of `pledges`, those of one card together, and no cancelled ones."""
    groups: dict[tuple[str, str | None], list[Pledge]] = {}
    for pledge in pledges:
        is_running = pledge.frequency != Frequency.ONCE and pledge.status in RUNNING_STATUSES
        if is_running and pledge.cancel_requested_at is None:
            # Of one whose customer is not reported yet, nobody knows the card.
            is_unknown = pledge.customer_reference is None and pledge.gateway != SANDBOX_GATEWAY
            card = str(pledge.id) if is_unknown else pledge.customer_reference
            groups.setdefault((pledge.gateway, card), []).append(pledge)
    return list(groups.values())


def has_same_customer(pledge: Pledge, other: Pledge) -> bool:
    """Return whether both pledges are charged to one card, which is the customer's."""
    if pledge.customer_reference is None:
        return False
    return (pledge.gateway, pledge.customer_reference) == (other.gateway, other.customer_reference)


def shares_customer(pledge: Pledge, pledges: Iterable[Pledge]) -> bool | None:
    """Return whether the other running ones of `pledges` all have this pledge's customer; None without others.

    At Stripe, a card belongs to one customer and cannot be moved to another.
    """
    others = [
        other
        for other in pledges
        if other.id != pledge.id and other.frequency != Frequency.ONCE and other.status in RUNNING_STATUSES
    ]
    if not others or pledge.customer_reference is None:
        return None
    return all(has_same_customer(pledge, other) for other in others)
