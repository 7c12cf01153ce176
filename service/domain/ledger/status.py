"""The statuses of pledges and payments, derived from recorded facts.

A status depends on what is known and never on the order in which it became known, because a gateway may deliver
its events late, twice or out of order.
"""

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
    """Everything that a pledge's status depends on. A fact stays true, and the instants only grow.

    `last_paid_at` and `last_failed_at` are the instants of the last successful and the last failed payment.
    `gateway_status_at` is when the gateway last reported the subscription's status, and `gateway_past_due`
    whether that was past due.
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
    """Return the status that the facts add up to.

    A payment outweighs a closed checkout. An end is final. The latest report decides whether a recurring pledge
    is past due; within one second a payment outweighs a failure, and a failure outweighs the subscription's
    status, which the gateway repeats for many reasons.
    """
    is_paid = facts.paid_minor > 0
    if facts.frequency == Frequency.ONCE:
        if is_paid:
            is_refunded = facts.refunded_minor >= facts.paid_minor
            return PledgeStatus.REFUNDED if is_refunded else PledgeStatus.COMPLETED
    elif is_paid or facts.is_started:
        if facts.has_ended:
            return PledgeStatus.CANCELLED
        return PledgeStatus.PAST_DUE if _is_past_due(facts) else PledgeStatus.ACTIVE
    return PledgeStatus.EXPIRED if facts.checkout_closed or facts.has_ended else PledgeStatus.PENDING


def _is_past_due(facts: PledgeFacts) -> bool:
    # (instant, precedence within one second, past due)
    reports = (
        (facts.last_paid_at, 3, False),
        (facts.last_failed_at, 2, True),
        (facts.gateway_status_at, 2 if facts.gateway_past_due else 1, facts.gateway_past_due),
    )
    known = [(at, precedence, past_due) for at, precedence, past_due in reports if at is not None]
    return max(known)[2] if known else False


def load_pledge_facts(
    session: Session,
    pledge: Pledge,
    *,
    gateway_past_due: bool | None = None,
    is_started: bool = False,
    checkout_closed: bool = False,
) -> PledgeFacts:
    """Return the facts known of a pledge together with what the gateway has just reported.

    The database stores when the gateway last reported a subscription's status (`subscription_status_at`), and not
    the status itself. As long as no payment and no failure is newer, the pledge's own status is what the gateway
    reported; once one is newer, the report no longer matters.
    """
    is_successful = Payment.status != PaymentStatus.FAILED
    paid_minor, last_paid_at, last_failed_at = session.execute(
        select(
            func.coalesce(func.sum(Payment.amount_minor).filter(is_successful), 0),
            func.max(Payment.paid_at).filter(is_successful),
            func.max(Payment.paid_at).filter(~is_successful),
        ).where(Payment.pledge_id == pledge.id)
    ).one()
    refunded_minor = session.scalar(
        select(func.coalesce(func.sum(Refund.amount_minor), 0))
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Payment.pledge_id == pledge.id, Refund.status == RefundStatus.SUCCEEDED)
    )
    if gateway_past_due is None:
        gateway_past_due = pledge.status == PledgeStatus.PAST_DUE
    return PledgeFacts(
        frequency=pledge.frequency,
        paid_minor=int(paid_minor),
        refunded_minor=int(refunded_minor or 0),
        last_paid_at=last_paid_at,
        last_failed_at=last_failed_at,
        gateway_status_at=pledge.subscription_status_at,
        gateway_past_due=gateway_past_due,
        is_started=is_started or pledge.status in STARTED_STATUSES,
        has_ended=pledge.ended_at is not None or pledge.status == PledgeStatus.CANCELLED,
        checkout_closed=checkout_closed or pledge.status == PledgeStatus.EXPIRED,
    )


def derive_payment_status(
    amount_minor: int, refunded_minor: int, disputes: Iterable[DisputeStatus]
) -> PaymentStatus:
    """Return the status that the refunds and disputes of a successful payment add up to.

    An open dispute withholds the money just as a lost one does: both are `disputed`.
    """
    if any(dispute != DisputeStatus.WON for dispute in disputes):
        return PaymentStatus.DISPUTED
    if refunded_minor >= amount_minor:
        return PaymentStatus.REFUNDED
    return PaymentStatus.PARTIALLY_REFUNDED if refunded_minor else PaymentStatus.SUCCEEDED
