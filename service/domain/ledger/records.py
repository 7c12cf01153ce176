"""Writing the ledger: payments as the gateway reports them, and the status that all reports add up to.

Recording the same report twice changes nothing, and a report that contradicts the ledger is refused.
"""

import datetime
from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from schemas.enums import DisputeStatus, PaymentStatus, RefundStatus
from service.db.base import new_id
from service.db.models.payment import Dispute, Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.errors import PaymentMismatch
from service.domain.ledger.status import derive_payment_status
from service.domain.money import Money


def record_payment(
    session: Session,
    pledge: Pledge,
    *,
    reference: str,
    money: Money,
    at: datetime.datetime,
    failed: bool = False,
    is_provisional: bool = False,
) -> Payment | None:
    """Record a successful or failed payment; return it, or None if it is recorded already.

    A provisional amount is corrected by the report of what was paid, and corrects none.

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
            is_provisional=is_provisional,
        )
        session.add(payment)
        # Other rows refer to the payment by id. No relationship orders the inserts.
        session.flush()
        return payment
    if known.pledge_id != pledge.id:
        raise PaymentMismatch("This payment was reported for another pledge.")
    if known.amount_minor != money.amount_minor and not (known.is_provisional or is_provisional):
        raise PaymentMismatch("This payment was reported before with another amount.")
    if (known.status == PaymentStatus.FAILED) != failed:
        raise PaymentMismatch("This payment was reported both as made and as failed.")
    # Two kinds of events report one payment, some seconds apart. The earlier instant is the payment's own, and a
    # receipt keeps its year.
    known.paid_at = min(known.paid_at, at)
    if known.is_provisional and not is_provisional:
        known.amount_minor, known.is_provisional = money.amount_minor, False
        # The status is derived by queries.
        session.flush()
        recompute_payment_status(session, known)
    return None


def withdraw_provisional_payment(session: Session, pledge: Pledge, reference: str) -> None:
    """Delete the payment of an invoice that turned out to take no money, and its receipt."""
    session.execute(
        delete(Payment).where(
            Payment.pledge_id == pledge.id, Payment.gateway_reference == reference, Payment.is_provisional
        )
    )


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
    disputes = session.execute(
        select(Dispute.status, Dispute.withheld_minor).where(Dispute.payment_id == payment.id)
    ).all()
    refunded_minor = sum(refund.amount_minor for refund in refunds if refund.status == RefundStatus.SUCCEEDED)
    payment.status = derive_payment_status(
        payment.amount_minor,
        refunded_minor,
        sum(withheld for _, withheld in disputes),
        is_undecided=any(status == DisputeStatus.OPEN and withheld for status, withheld in disputes),
    )
