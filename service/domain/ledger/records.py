"""Writing the ledger: payments and disputes as the gateway reports them.

Recording the same report twice changes nothing, and a report that contradicts the ledger is refused.
"""

import datetime
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import DisputeStatus, PaymentStatus, RefundStatus
from service.db.base import new_id
from service.db.models.payment import Dispute, Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.errors import PaymentMismatch
from service.domain.ledger.status import derive_payment_status
from service.domain.money import Money
from service.domain.ports.payment_events import DisputeUpdated

# A later status replaces an earlier one, and never the other way round, in whatever order the events arrive.
DISPUTE_STATUS_PRECEDENCE = (DisputeStatus.OPEN, DisputeStatus.LOST, DisputeStatus.WON)


def record_payment(
    session: Session, pledge: Pledge, *, reference: str, money: Money, at: datetime.datetime, failed: bool = False
) -> Payment | None:
    """Record a successful or failed payment; return it, or None if it is recorded already.

    Raises:
        PaymentMismatch: its currency is not the pledge's, or it contradicts what was recorded before.
    """
    if money.currency != pledge.currency:
        raise PaymentMismatch(f"The pledge is in {pledge.currency}, the payment in {money.currency}.")
    known = session.scalar(
        select(Payment).where(Payment.gateway == pledge.gateway, Payment.gateway_reference == reference)
    )
    if known is None:
        payment = Payment(
            id=new_id(),
            pledge_id=pledge.id,
            status=PaymentStatus.FAILED if failed else PaymentStatus.SUCCEEDED,
            amount_minor=money.amount_minor,
            currency=money.currency,
            gateway=pledge.gateway,
            gateway_reference=reference,
            paid_at=at,
        )
        session.add(payment)
        # Other rows refer to the payment by id. No relationship orders the inserts.
        session.flush()
        return payment
    if known.pledge_id != pledge.id:
        raise PaymentMismatch("This payment was reported for another pledge.")
    if known.amount_minor != money.amount_minor:
        raise PaymentMismatch("This payment was reported before with another amount.")
    if (known.status == PaymentStatus.FAILED) != failed:
        raise PaymentMismatch("This payment was reported both as made and as failed.")
    # Two kinds of events report one payment, some seconds apart. The earlier instant is the payment's own, and a
    # receipt keeps its year.
    known.paid_at = min(known.paid_at, at)
    return None


def find_payment(session: Session, gateway: str, references: Sequence[str]) -> Payment | None:
    """Return the successful payment that has one of these references at the gateway."""
    return session.scalar(
        select(Payment)
        .where(
            Payment.gateway == gateway,
            Payment.gateway_reference.in_(references),
            Payment.status != PaymentStatus.FAILED,
        )
        .order_by(Payment.id)
        .limit(1)
    )


def record_dispute(session: Session, payment: Payment, event: DisputeUpdated) -> None:
    """Record that a payment is disputed, or how the bank decided.

    Raises:
        PaymentMismatch: the dispute was recorded for another payment.
    """
    dispute = session.scalar(select(Dispute).where(Dispute.gateway_reference == event.dispute))
    if dispute is None:
        require_currency(payment, event.money)
        session.add(
            Dispute(
                id=new_id(),
                payment_id=payment.id,
                status=event.status,
                amount_minor=event.money.amount_minor,
                currency=event.money.currency,
                gateway_reference=event.dispute,
                opened_at=event.occurred_at,
            )
        )
    else:
        if dispute.payment_id != payment.id:
            raise PaymentMismatch("This dispute was recorded for another payment.")
        dispute.status = max(dispute.status, event.status, key=DISPUTE_STATUS_PRECEDENCE.index)
        dispute.opened_at = min(dispute.opened_at, event.occurred_at)
    recompute_payment_status(session, payment)


def require_currency(payment: Payment, money: Money) -> None:
    """Check that what went back is in the payment's currency.

    Raises:
        PaymentMismatch: it is in another.
    """
    if money.currency != payment.currency:
        raise PaymentMismatch(f"The payment is in {payment.currency}, what went back in {money.currency}.")


def recompute_payment_status(session: Session, payment: Payment) -> None:
    """Set the payment's status to the one that its refunds and disputes add up to."""
    refunds = session.scalars(select(Refund).where(Refund.payment_id == payment.id)).all()
    disputes = session.scalars(select(Dispute.status).where(Dispute.payment_id == payment.id)).all()
    refunded_minor = sum(refund.amount_minor for refund in refunds if refund.status == RefundStatus.SUCCEEDED)
    payment.status = derive_payment_status(payment.amount_minor, refunded_minor, disputes)
