"""Sums over the ledger. Nothing is ever kept as a sum: what is here is added up from the rows each time."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from schemas.enums import DisputeStatus, PaymentStatus, RefundStatus
from service.db.models.payment import BalanceTransaction, Dispute, Payment, Refund


def list_payments(session: Session, pledge_id: uuid.UUID) -> list[dict[str, Any]]:
    """Return a pledge's payments, the oldest first: their columns, and `refunds`, `disputes` and `balances`."""
    payments = session.scalars(
        select(Payment).where(Payment.pledge_id == pledge_id).order_by(Payment.paid_at, Payment.id)
    ).all()
    ids = [payment.id for payment in payments]
    refunds, disputes = _rows_by_payment(session, Refund, ids), _rows_by_payment(session, Dispute, ids)
    balances = _rows_by_payment(session, BalanceTransaction, ids)
    return [
        {
            "id": payment.id,
            "status": payment.status,
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "gateway": payment.gateway,
            "gateway_reference": payment.gateway_reference,
            "paid_at": payment.paid_at,
            "refunds": refunds[payment.id],
            "disputes": disputes[payment.id],
            "balances": balances[payment.id],
        }
        for payment in payments
    ]


def _rows_by_payment(session: Session, table: Any, ids: list[uuid.UUID]) -> dict[uuid.UUID, list[Any]]:
    rows: dict[uuid.UUID, list[Any]] = defaultdict(list)
    for row in session.scalars(select(table).where(table.payment_id.in_(ids)).order_by(table.id)):
        rows[row.payment_id].append(row)
    return rows


# A payment of which the newsroom has all or a part; the others came back, are with a bank, or never came.
RETAINED_STATUSES = (PaymentStatus.SUCCEEDED, PaymentStatus.PARTIALLY_REFUNDED)
# Money that a bank holds until it decides is as far away as what it gave back.
WITHHELD_DISPUTES = (DisputeStatus.OPEN, DisputeStatus.LOST)


@dataclass(frozen=True, kw_only=True)
class CurrencyTotal:
    """What moved in one currency, in minor units; `payments` of them left something with the newsroom."""

    currency: str
    payments: int
    received: int
    refunded: int
    disputed: int

    @property
    def net(self) -> int:
        """What is left."""
        return self.received - self.refunded - self.disputed


@dataclass(frozen=True, kw_only=True)
class BalanceTotal:
    """What the gateway kept of payments and what it left, in the currency of the balance there."""

    currency: str
    gross: int
    fees: int
    net: int


def totals_by_currency(session: Session) -> list[CurrencyTotal]:
    """Return what moved, by currency."""
    refunded = _by_currency(session, Refund, Refund.status == RefundStatus.SUCCEEDED)
    disputed = _by_currency(session, Dispute, Dispute.status.in_(WITHHELD_DISPUTES))
    received = session.execute(
        select(
            Payment.currency,
            func.count().filter(Payment.status.in_(RETAINED_STATUSES)),
            func.sum(Payment.amount_minor),
        )
        .where(Payment.status != PaymentStatus.FAILED)
        .group_by(Payment.currency)
        .order_by(Payment.currency)
    )
    return [
        CurrencyTotal(
            currency=currency,
            payments=payments,
            received=int(amount),
            refunded=refunded.get(currency, 0),
            disputed=disputed.get(currency, 0),
        )
        for currency, payments, amount in received
    ]


def balance_totals(session: Session) -> list[BalanceTotal]:
    """Return what the gateway kept and left, as far as it has said, by the currency of the balance."""
    rows = session.execute(
        select(
            BalanceTransaction.currency,
            func.sum(BalanceTransaction.gross_minor),
            func.sum(BalanceTransaction.fee_minor),
            func.sum(BalanceTransaction.net_minor),
        )
        .group_by(BalanceTransaction.currency)
        .order_by(BalanceTransaction.currency)
    )
    return [
        BalanceTotal(currency=currency, gross=int(gross), fees=int(fees), net=int(net))
        for currency, gross, fees, net in rows
    ]


def totals_by_pledge_query(pledge_ids: Sequence[Any] | None = None) -> Select[Any]:
    """Return the query of what is left of each pledge's payments, of these pledges or of all that have any.

    Its columns are `pledge_id`, `payments`, `paid_minor` and `last_payment_at`.
    """
    refunds = _by_payment(Refund, Refund.status == RefundStatus.SUCCEEDED, pledge_ids)
    disputes = _by_payment(Dispute, Dispute.status.in_(WITHHELD_DISPUTES), pledge_ids)
    came, kept = Payment.status != PaymentStatus.FAILED, Payment.status.in_(RETAINED_STATUSES)
    left = (
        Payment.amount_minor - func.coalesce(refunds.c.amount_minor, 0) - func.coalesce(disputes.c.amount_minor, 0)
    )
    query = (
        select(
            Payment.pledge_id,
            func.count().filter(kept).label("payments"),
            func.sum(left).label("paid_minor"),
            func.max(Payment.paid_at).filter(kept).label("last_payment_at"),
        )
        .outerjoin(refunds, refunds.c.payment_id == Payment.id)
        .outerjoin(disputes, disputes.c.payment_id == Payment.id)
        .where(came)
        .group_by(Payment.pledge_id)
    )
    if pledge_ids is not None:
        query = query.where(Payment.pledge_id.in_(pledge_ids))
    return cast("Select[Any]", query)


def _by_payment(
    table: type[Refund] | type[Dispute], counted: ColumnElement[bool], pledge_ids: Sequence[Any] | None
) -> Any:
    query = (
        select(table.payment_id, func.sum(table.amount_minor).label("amount_minor"))
        .where(counted)
        .group_by(table.payment_id)
    )
    if pledge_ids is not None:
        query = query.join(Payment, Payment.id == table.payment_id).where(Payment.pledge_id.in_(pledge_ids))
    return query.subquery()


def _by_currency(
    session: Session, table: type[Refund] | type[Dispute], counted: ColumnElement[bool]
) -> dict[str, int]:
    rows = session.execute(
        select(table.currency, func.sum(table.amount_minor)).where(counted).group_by(table.currency)
    )
    return {currency: int(amount) for currency, amount in rows}
