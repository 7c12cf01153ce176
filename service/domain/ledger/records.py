"""What the gateway kept of each payment: asked for after the payment is in the books, and tried again later."""

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

RECENT_WINDOW = datetime.timedelta(hours=1)
LOOKUP_WINDOW = datetime.timedelta(days=60)
RECENT_BATCH_SIZE, OLDER_BATCH_SIZE = 50, 10


@dataclass(frozen=True)
class PaymentWithoutBalance:
    """A payment of which it is not known what the gateway kept, and its name there."""

    payment_id: uuid.UUID
    reference: str


def payments_missing_balance(
    session: Session, gateway: str, *, now: datetime.datetime
) -> list[PaymentWithoutBalance]:
    """Return some payments whose balance is to be asked for: the youngest, and a few of those over an hour old.

    The older ones are drawn by lot, so that one that never has a balance keeps no other from its turn.
    """
    fresh, oldest = now - RECENT_WINDOW, now - LOOKUP_WINDOW
    wanted = (
        select(Payment.id, Payment.gateway_reference)
        .outerjoin(BalanceTransaction, BalanceTransaction.payment_id == Payment.id)
        .where(
            Payment.gateway == gateway,
            Payment.status != PaymentStatus.FAILED,
            BalanceTransaction.id.is_(None),
        )
    )
    youngest = wanted.where(Payment.id >= _uuid7_lower_bound(fresh)).order_by(Payment.id).limit(RECENT_BATCH_SIZE)
    drawn = (
        wanted.where(Payment.id >= _uuid7_lower_bound(oldest), Payment.id < _uuid7_lower_bound(fresh))
        .order_by(func.random())
        .limit(OLDER_BATCH_SIZE)
    )
    return [PaymentWithoutBalance(*row) for query in (youngest, drawn) for row in session.execute(query)]


def _uuid7_lower_bound(at: datetime.datetime) -> uuid.UUID:
    """Return an id that no row has that was written down before: ids begin with their instant (RFC 9562)."""
    milliseconds = int(at.timestamp() * 1000)
    return uuid.UUID(int=milliseconds << 80)


# A later word counts more than an earlier one, in whatever order the two arrive.
REFUND_STATUS_PRECEDENCE = (RefundStatus.REQUESTED, RefundStatus.SUCCEEDED, RefundStatus.FAILED)
DISPUTE_STATUS_PRECEDENCE = (DisputeStatus.OPEN, DisputeStatus.LOST, DisputeStatus.WON)


def record_payment(
    session: Session, pledge: Pledge, *, reference: str, money: Money, at: datetime.datetime, failed: bool = False
) -> Payment | None:
    """Write down money that came, or a try that failed; return it, or None if it is there already.

    Raises:
        PaymentMismatch: it is in another currency than the pledge, or not what was reported before.
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
        # What refers to it by id may follow, with no relationship to order them.
        session.flush()
        return payment
    if known.pledge_id != pledge.id:
        raise PaymentMismatch("This payment was reported for another pledge.")
    if known.amount_minor != money.amount_minor:
        raise PaymentMismatch("This payment was reported before with another amount.")
    if (known.status == PaymentStatus.FAILED) != failed:
        raise PaymentMismatch("This payment was reported both as made and as failed.")
    # Two kinds of events tell of one payment, some seconds apart. The later instant holds, whichever came first.
    known.paid_at = max(known.paid_at, at)
    return None


def find_payment(session: Session, gateway: str, references: Sequence[str]) -> Payment | None:
    """Return the money that came under one of these names."""
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


def record_refund(session: Session, payment: Payment, news: RefundUpdated) -> None:
    """Write down money that went back, or that it did not arrive after all.

    Raises:
        PaymentMismatch: it is not of this payment, not what was reported before, or more than was paid.
    """
    status = RefundStatus.FAILED if news.failed else RefundStatus.SUCCEEDED
    refund = _find_refund(session, news)
    if refund is None:
        _validate_return(session, payment, news.money, adding=not news.failed)
        session.add(
            Refund(
                id=new_id(),
                payment_id=payment.id,
                status=status,
                amount_minor=news.money.amount_minor,
                currency=news.money.currency,
                gateway_reference=news.refund,
                created_at=news.occurred_at,
            )
        )
    else:
        if (refund.payment_id, refund.amount_minor) != (payment.id, news.money.amount_minor):
            raise PaymentMismatch("This refund was written down for another payment or another amount.")
        update_refund_status(refund, status, reference=news.refund)
    recompute_payment_status(session, payment)


def update_refund_status(refund: Refund, status: RefundStatus, *, reference: str | None = None) -> None:
    """Write down how far a refund came; it never goes back a step."""
    refund.status = max(refund.status, status, key=REFUND_STATUS_PRECEDENCE.index)
    refund.gateway_reference = refund.gateway_reference or reference


def record_dispute(session: Session, payment: Payment, news: DisputeUpdated) -> None:
    """Write down that a payment is denied, or how the bank decided.

    Raises:
        PaymentMismatch: the dispute was written down for another payment.
    """
    dispute = session.scalar(select(Dispute).where(Dispute.gateway_reference == news.dispute))
    if dispute is None:
        _validate_return(session, payment, news.money, adding=False)
        session.add(
            Dispute(
                id=new_id(),
                payment_id=payment.id,
                status=news.status,
                amount_minor=news.money.amount_minor,
                currency=news.money.currency,
                gateway_reference=news.dispute,
                opened_at=news.occurred_at,
            )
        )
    else:
        if dispute.payment_id != payment.id:
            raise PaymentMismatch("This dispute was written down for another payment.")
        dispute.status = max(dispute.status, news.status, key=DISPUTE_STATUS_PRECEDENCE.index)
        dispute.opened_at = min(dispute.opened_at, news.occurred_at)
    recompute_payment_status(session, payment)


def recompute_payment_status(session: Session, payment: Payment) -> None:
    """Let a payment's status say what its refunds and disputes add up to."""
    refunds = session.scalars(select(Refund).where(Refund.payment_id == payment.id)).all()
    disputes = session.scalars(select(Dispute.status).where(Dispute.payment_id == payment.id)).all()
    returned = sum(refund.amount_minor for refund in refunds if refund.status == RefundStatus.SUCCEEDED)
    payment.status = derive_payment_status(payment.amount_minor, returned, disputes)


def record_balance_transaction(
    session: Session, payment_id: uuid.UUID, balance: GatewayBalanceTransaction
) -> bool:
    """Write down what a payment did to the balance at the gateway; return whether it is new."""
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


def _find_refund(session: Session, news: RefundUpdated) -> Refund | None:
    ours = session.get(Refund, news.refund_id) if news.refund_id is not None else None
    return ours or session.scalar(select(Refund).where(Refund.gateway_reference == news.refund))


def _validate_return(session: Session, payment: Payment, money: Money, *, adding: bool) -> None:
    if money.currency != payment.currency:
        raise PaymentMismatch(f"The payment is in {payment.currency}, what went back in {money.currency}.")
    returned = session.scalars(
        select(Refund.amount_minor).where(Refund.payment_id == payment.id, Refund.status == RefundStatus.SUCCEEDED)
    )
    if adding and sum(returned) + money.amount_minor > payment.amount_minor:
        raise PaymentMismatch("More went back than was paid.")
