"""The statuses of pledges and payments, derived from recorded facts.

A status depends on what is known and never on the order in which it became known, because a gateway may deliver
its events late, twice or out of order.
"""

import datetime
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.enums import Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge

# A subscription runs, or ran, at the gateway.
STARTED_STATUSES = (
    PledgeStatus.PROCESSING,
    PledgeStatus.ACTIVE,
    PledgeStatus.PAST_DUE,
    PledgeStatus.CANCELLED,
)


@dataclass(frozen=True, kw_only=True)
class PledgeFacts:
    """Everything that a pledge's status depends on. A fact stays true, and the instants only grow.

    `last_paid_at` and `last_failed_at` are the instants of the last successful and the last failed payment.
    `checkout_completed_at` is when the reader completed the checkout, `bounced_at` when the bank refused the first
    payment after that, `settled_outside_at` when an invoice was last settled without a payment at the gateway,
    and `action_required_at` when the bank last wanted a payment confirmed. `gateway_status_at` is when the gateway
    last reported the subscription's status, and `gateway_past_due` whether that was past due. `is_started` means
    that the gateway has a running subscription, and `was_active` that the pledge counted as paid before.
    """

    frequency: Frequency
    paid_minor: int = 0
    refunded_minor: int = 0
    last_paid_at: datetime.datetime | None = None
    last_failed_at: datetime.datetime | None = None
    checkout_completed_at: datetime.datetime | None = None
    bounced_at: datetime.datetime | None = None
    settled_outside_at: datetime.datetime | None = None
    action_required_at: datetime.datetime | None = None
    gateway_status_at: datetime.datetime | None = None
    gateway_past_due: bool = False
    is_started: bool = False
    was_active: bool = False
    has_ended: bool = False
    checkout_closed: bool = False


def derive_pledge_status(facts: PledgeFacts) -> PledgeStatus:
    """Return the status that the facts add up to.

    A payment outweighs everything else, and an end is final. A completed checkout without a payment is
    `processing`: it outweighs a closed one, because our own time limit may have passed before we heard of it.
    """
    if facts.frequency == Frequency.ONCE:
        return _derive_once(facts)
    is_paid = facts.paid_minor > 0 or facts.settled_outside_at is not None
    if not (is_paid or facts.is_started or facts.checkout_completed_at is not None):
        return PledgeStatus.EXPIRED if facts.checkout_closed or facts.has_ended else PledgeStatus.PENDING
    if facts.has_ended:
        return PledgeStatus.CANCELLED
    if _is_past_due(facts):
        return PledgeStatus.PAST_DUE
    # A subscription that recovered from a failure owes nothing, even if the payment is not known yet.
    if is_paid or facts.was_active or has_first_payment_failed(facts):
        return PledgeStatus.ACTIVE
    return PledgeStatus.PROCESSING


def has_first_payment_failed(facts: PledgeFacts) -> bool:
    """Whether the bank refused the first payment after the checkout was completed, such as a debit days later.

    A card that is declined before is another matter: the reader is still at the checkout and tries another.
    """
    if facts.paid_minor > 0:
        return False
    if facts.bounced_at is not None:
        return True
    completed_at, failed_at = facts.checkout_completed_at, facts.last_failed_at
    return completed_at is not None and failed_at is not None and failed_at > completed_at


def _derive_once(facts: PledgeFacts) -> PledgeStatus:
    if facts.paid_minor > 0:
        is_refunded = facts.refunded_minor >= facts.paid_minor
        return PledgeStatus.REFUNDED if is_refunded else PledgeStatus.COMPLETED
    # The completed checkout accepts no second attempt.
    if has_first_payment_failed(facts):
        return PledgeStatus.EXPIRED
    if facts.checkout_completed_at is not None:
        return PledgeStatus.PROCESSING
    return PledgeStatus.EXPIRED if facts.checkout_closed or facts.has_ended else PledgeStatus.PENDING


def _is_past_due(facts: PledgeFacts) -> bool:
    """Whether the latest report says so.

    Within one second a payment outweighs a failure, and a failure outweighs the subscription's status, which the
    gateway repeats for many reasons.
    """
    # (instant, precedence within one second, past due)
    reports = (
        (facts.last_paid_at, 3, False),
        (facts.settled_outside_at, 3, False),
        (facts.last_failed_at, 2, True),
        (facts.bounced_at, 2, True),
        (facts.action_required_at, 2, True),
        (facts.gateway_status_at, 2 if facts.gateway_past_due else 1, facts.gateway_past_due),
        (facts.checkout_completed_at, 0, False),
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
        checkout_completed_at=pledge.checkout_completed_at,
        bounced_at=pledge.payment_bounced_at,
        settled_outside_at=pledge.settled_outside_at,
        action_required_at=pledge.action_required_at,
        gateway_status_at=pledge.subscription_status_at,
        gateway_past_due=gateway_past_due,
        is_started=is_started or pledge.status in STARTED_STATUSES,
        was_active=pledge.status in (PledgeStatus.ACTIVE, PledgeStatus.PAST_DUE),
        has_ended=pledge.ended_at is not None or pledge.status == PledgeStatus.CANCELLED,
        checkout_closed=checkout_closed or pledge.status == PledgeStatus.EXPIRED,
    )


def derive_payment_status(
    amount_minor: int, refunded_minor: int, withheld_minor: int, *, is_undecided: bool
) -> PaymentStatus:
    """Return the status that the refunds and disputes of a successful payment add up to.

    `withheld_minor` is what disputes withdrew, and `is_undecided` whether a bank may still decide on some of it. A
    payment that lost only a part to a dispute stays refundable for the rest, as after a partial refund.
    """
    is_gone = refunded_minor + withheld_minor >= amount_minor
    if withheld_minor and (is_undecided or is_gone):
        return PaymentStatus.DISPUTED
    if is_gone:
        return PaymentStatus.REFUNDED
    return PaymentStatus.PARTIALLY_REFUNDED if refunded_minor or withheld_minor else PaymentStatus.SUCCEEDED
