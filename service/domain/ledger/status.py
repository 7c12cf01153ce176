"""Where a pledge and a payment stand, by what is known of them and not by the order in which it became known."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.enums import DisputeStatus, Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge

STARTED_STATUSES = (PledgeStatus.ACTIVE, PledgeStatus.PAST_DUE, PledgeStatus.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class PledgeFacts:
    """All that decides where a pledge stands; each is true for good, and the instants only ever grow.

    `last_paid_at` and `last_failed_at` are when money last came and last failed to. `gateway_status_at` is when
    the gateway last said
    by itself where a subscription stands, and `gateway_past_due` what it said.
    """

    frequency: Frequency
    paid_minor: int = 0
    refunded_minor: int = 0
    last_paid_at: datetime.datetime | None = None
    last_failed_at: datetime.datetime | None = None
    gateway_status_at: datetime.datetime | None = None
    gateway_past_due: bool = False
    is_started: bool = False
    has_ended: bool = False
    checkout_closed: bool = False


def derive_pledge_status(facts: PledgeFacts) -> PledgeStatus:
    """Return where a pledge stands.

    Money that came counts more than a checkout that was closed. An end is for good. Of two words on whether money
    is owed the later one holds; of two in the same second, money that came before a try that failed, and that
    before what the gateway says of the subscription in general, which it repeats for many reasons.
    """
    was_paid = facts.paid_minor > 0
    if facts.frequency == Frequency.ONCE:
        if was_paid:
            wholly_back = facts.refunded_minor >= facts.paid_minor
            return PledgeStatus.REFUNDED if wholly_back else PledgeStatus.COMPLETED
    elif was_paid or facts.is_started:
        if facts.has_ended:
            return PledgeStatus.CANCELLED
        return PledgeStatus.PAST_DUE if _is_past_due(facts) else PledgeStatus.ACTIVE
    return PledgeStatus.EXPIRED if facts.checkout_closed or facts.has_ended else PledgeStatus.PENDING


def _is_past_due(facts: PledgeFacts) -> bool:
    words = (
        (facts.last_paid_at, 3, False),
        (facts.last_failed_at, 2, True),
        (facts.gateway_status_at, 2 if facts.gateway_past_due else 1, facts.gateway_past_due),
    )
    known = [(at, rank, owed) for at, rank, owed in words if at is not None]
    return max(known)[2] if known else False


def load_pledge_facts(
    session: Session,
    pledge: Pledge,
    *,
    said_past_due: bool | None = None,
    is_started: bool = False,
    is_closed: bool = False,
) -> PledgeFacts:
    """Return what is known of a pledge, together with what has just been said of it.

    What the gateway said of a subscription is not kept but for when it did (`subscription_status_at`). As
    long as no payment and no failed try is younger than that, the pledge's status is what it said; and where one
    is, it does not matter.
    """
    came = Payment.status != PaymentStatus.FAILED
    paid_minor, paid_at, missed_at = session.execute(
        select(
            func.coalesce(func.sum(Payment.amount_minor).filter(came), 0),
            func.max(Payment.paid_at).filter(came),
            func.max(Payment.paid_at).filter(~came),
        ).where(Payment.pledge_id == pledge.id)
    ).one()
    refunded = session.scalar(
        select(func.coalesce(func.sum(Refund.amount_minor), 0))
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Payment.pledge_id == pledge.id, Refund.status == RefundStatus.SUCCEEDED)
    )
    return PledgeFacts(
        frequency=pledge.frequency,
        paid_minor=int(paid_minor),
        refunded_minor=int(refunded or 0),
        last_paid_at=paid_at,
        last_failed_at=missed_at,
        gateway_status_at=pledge.subscription_status_at,
        gateway_past_due=pledge.status == PledgeStatus.PAST_DUE if said_past_due is None else said_past_due,
        is_started=is_started or pledge.status in STARTED_STATUSES,
        has_ended=pledge.ended_at is not None or pledge.status == PledgeStatus.CANCELLED,
        checkout_closed=is_closed or pledge.status == PledgeStatus.EXPIRED,
    )


def derive_payment_status(
    amount_minor: int, refunded_minor: int, disputes: Iterable[DisputeStatus]
) -> PaymentStatus:
    """Return what the refunds and disputes of money that came add up to.

    A bank that has not decided keeps the money as one does that decided for the reader: both are `disputed`.
    """
    if any(dispute != DisputeStatus.WON for dispute in disputes):
        return PaymentStatus.DISPUTED
    if refunded_minor >= amount_minor:
        return PaymentStatus.REFUNDED
    return PaymentStatus.PARTIALLY_REFUNDED if refunded_minor else PaymentStatus.SUCCEEDED
