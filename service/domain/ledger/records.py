"""Writing the ledger: payments, refunds, disputes and balance transactions as the gateway reports them.

Recording the same report twice changes nothing, and a report that contradicts the ledger is refused. A balance
transaction (what a payment added to the account at the gateway, and its fee) is fetched after its payment is
recorded, and retried until the gateway has it.
"""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.enums import DisputeStatus, PaymentStatus, RefundStatus
from service.db.base import new_id
from service.db.models.payment import BalanceTransaction, Dispute, Payment, Refund
from service.db.models.pledge import Pledge
from service.db.upsert import insert_on_conflict_do_nothing
from service.domain.errors import PaymentMismatch
from service.domain.ledger.status import derive_payment_status
from service.domain.money import Money
from service.domain.ports import GatewayBalanceTransaction
from service.domain.ports.payment_events import DisputeUpdated, RefundUpdated

# A later status replaces an earlier one, and never the other way round, in whatever order the events arrive.
REFUND_STATUS_PRECEDENCE = (RefundStatus.REQUESTED, RefundStatus.SUCCEEDED, RefundStatus.FAILED)
DISPUTE_STATUS_PRECEDENCE = (DisputeStatus.OPEN, DisputeStatus.LOST, DisputeStatus.WON)
RECENT_WINDOW = datetime.timedelta(hours=1)
LOOKUP_WINDOW = datetime.timedelta(days=60)
RECENT_BATCH_SIZE, OLDER_BATCH_SIZE = 50, 10


@dataclass(frozen=True)
class PaymentWithoutBalance:
    """A payment whose balance transaction is not known yet, and the gateway's reference of it."""

    payment_id: uuid.UUID
    reference: str


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
    # Two kinds of events report one payment, some seconds apart. The later instant wins, in either order.
    known.paid_at = max(known.paid_at, at)
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


def record_refund(session: Session, payment: Payment, event: RefundUpdated) -> None:
    """Record a refund, or that it failed to reach the reader.

    Raises:
        PaymentMismatch: it belongs to another payment, contradicts what was recorded before, or exceeds what is
            left of the payment.
    """
    status = RefundStatus.FAILED if event.failed else RefundStatus.SUCCEEDED
    refund = _find_refund(session, event)
    if refund is None:
        _validate_return(session, payment, event.money, adding=not event.failed)
        session.add(
            Refund(
                id=new_id(),
                payment_id=payment.id,
                status=status,
                amount_minor=event.money.amount_minor,
                currency=event.money.currency,
                gateway_reference=event.refund,
                created_at=event.occurred_at,
            )
        )
    else:
        if (refund.payment_id, refund.amount_minor) != (payment.id, event.money.amount_minor):
            raise PaymentMismatch("This refund was recorded for another payment or another amount.")
        update_refund_status(refund, status, reference=event.refund)
    recompute_payment_status(session, payment)


def update_refund_status(refund: Refund, status: RefundStatus, *, reference: str | None = None) -> None:
    """Set the refund's status, which never moves backwards, and its first reference at the gateway."""
    refund.status = max(refund.status, status, key=REFUND_STATUS_PRECEDENCE.index)
    refund.gateway_reference = refund.gateway_reference or reference


def record_dispute(session: Session, payment: Payment, event: DisputeUpdated) -> None:
    """Record that a payment is disputed, or how the bank decided.

    Raises:
        PaymentMismatch: the dispute was recorded for another payment.
    """
    dispute = session.scalar(select(Dispute).where(Dispute.gateway_reference == event.dispute))
    if dispute is None:
        _validate_return(session, payment, event.money, adding=False)
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


def recompute_payment_status(session: Session, payment: Payment) -> None:
    """Set the payment's status to the one that its refunds and disputes add up to."""
    refunds = session.scalars(select(Refund).where(Refund.payment_id == payment.id)).all()
    disputes = session.scalars(select(Dispute.status).where(Dispute.payment_id == payment.id)).all()
    refunded_minor = sum(refund.amount_minor for refund in refunds if refund.status == RefundStatus.SUCCEEDED)
    payment.status = derive_payment_status(payment.amount_minor, refunded_minor, disputes)


def payments_missing_balance(
    session: Session, gateway: str, *, now: datetime.datetime
) -> list[PaymentWithoutBalance]:
    """Return a batch of payments whose balance transaction is still to be fetched.

    It holds the payments of the last hour and a few random older ones. The random choice keeps payments that never
    get a balance transaction from starving the others.
    """
    recent_since, oldest = now - RECENT_WINDOW, now - LOOKUP_WINDOW
    query = (
        select(Payment.id, Payment.gateway_reference)
        .outerjoin(BalanceTransaction, BalanceTransaction.payment_id == Payment.id)
        .where(
            Payment.gateway == gateway,
            Payment.status != PaymentStatus.FAILED,
            BalanceTransaction.id.is_(None),
        )
    )
    recent = (
        query.where(Payment.id >= _uuid7_lower_bound(recent_since)).order_by(Payment.id).limit(RECENT_BATCH_SIZE)
    )
    older = (
        query.where(Payment.id >= _uuid7_lower_bound(oldest), Payment.id < _uuid7_lower_bound(recent_since))
        .order_by(func.random())
        .limit(OLDER_BATCH_SIZE)
    )
    return [PaymentWithoutBalance(*row) for batch in (recent, older) for row in session.execute(batch)]


def record_balance_transaction(
    session: Session, payment_id: uuid.UUID, balance: GatewayBalanceTransaction
) -> bool:
    """Record the balance transaction of a payment; return whether it is new."""
    row = {
        "id": new_id(),
        "payment_id": payment_id,
        "gateway_reference": balance.reference,
        "gross_minor": balance.gross_minor,
        "fee_minor": balance.fee_minor,
        "net_minor": balance.net_minor,
        "currency": balance.currency,
    }
    return insert_on_conflict_do_nothing(session, BalanceTransaction, row, unique=("gateway_reference",))


def _find_refund(session: Session, event: RefundUpdated) -> Refund | None:
    by_id = session.get(Refund, event.refund_id) if event.refund_id is not None else None
    return by_id or session.scalar(select(Refund).where(Refund.gateway_reference == event.refund))


def _validate_return(session: Session, payment: Payment, money: Money, *, adding: bool) -> None:
    if money.currency != payment.currency:
        raise PaymentMismatch(f"The payment is in {payment.currency}, what went back in {money.currency}.")
    refunded = session.scalars(
        select(Refund.amount_minor).where(Refund.payment_id == payment.id, Refund.status == RefundStatus.SUCCEEDED)
    )
    if adding and sum(refunded) + money.amount_minor > payment.amount_minor:
        raise PaymentMismatch("More went back than was paid.")


def _uuid7_lower_bound(at: datetime.datetime) -> uuid.UUID:
    """Return an id below those of all rows created since `at`: a UUIDv7 begins with its instant (RFC 9562)."""
    milliseconds = int(at.timestamp() * 1000)
    return uuid.UUID(int=milliseconds << 80)
