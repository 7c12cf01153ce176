"""Reading the ledger: a pledge's payments, and sums by currency and by pledge.

Sums are computed from the rows on every call and never stored.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from schemas.enums import DisputeStatus, PaymentStatus, RefundStatus
from service.db.models.payment import BalanceTransaction, Dispute, Payment, Refund

# The newsroom has these payments, in full or in part. The others were refunded, are disputed, or failed.
RETAINED_STATUSES = (PaymentStatus.SUCCEEDED, PaymentStatus.PARTIALLY_REFUNDED)
# An open dispute withholds the money just as a lost one does.
WITHHELD_DISPUTES = (DisputeStatus.OPEN, DisputeStatus.LOST)


@dataclass(frozen=True, kw_only=True)
class CurrencyTotal:
    """Sums in one currency, in minor units. `payments` counts those of which the newsroom has a part."""

    currency: str
    payments: int
    received: int
    refunded: int
    disputed: int

    @property
    def net(self) -> int:
        return self.received - self.refunded - self.disputed


@dataclass(frozen=True, kw_only=True)
class BalanceTotal:
    """Sums of balance transactions, in minor units of the account's currency at the gateway."""

    currency: str
    gross: int
    fees: int
    net: int


def list_payments(session: Session, pledge_id: uuid.UUID) -> list[dict[str, Any]]:
    """Return a pledge's payments, the oldest first, each with its `refunds`, `disputes` and `balances`."""
    payments = session.scalars(
        select(Payment).where(Payment.pledge_id == pledge_id).order_by(Payment.paid_at, Payment.id)
    ).all()
    ids = [payment.id for payment in payments]
    refunds, disputes = _rows_by_payment(session, Refund, ids), _rows_by_payment(session, Dispute, ids)
    balances = _rows_by_payment(session, BalanceTransaction, ids, BalanceTransaction.occurred_at)
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


def totals_by_currency(session: Session) -> list[CurrencyTotal]:
    """Return the sums of all payments, refunds and disputes, by currency."""
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
    """Return the sums of the balance transactions booked so far, by currency.

    `net` is what the gateway's own balance shows for our payments, refunds, disputes and their fees.
    """
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
    """Return the query of what the newsroom has of each pledge's payments, for these pledges or for all.

    A pledge without a successful payment has no row. The columns are `pledge_id`, `payments`, `paid_minor` and
    `last_payment_at`.
    """
    refunds = _by_payment(Refund, Refund.status == RefundStatus.SUCCEEDED, pledge_ids)
    disputes = _by_payment(Dispute, Dispute.status.in_(WITHHELD_DISPUTES), pledge_ids)
    is_successful, is_retained = Payment.status != PaymentStatus.FAILED, Payment.status.in_(RETAINED_STATUSES)
    net_minor = (
        Payment.amount_minor - func.coalesce(refunds.c.amount_minor, 0) - func.coalesce(disputes.c.amount_minor, 0)
    )
    query = (
        select(
            Payment.pledge_id,
            func.count().filter(is_retained).label("payments"),
            func.sum(net_minor).label("paid_minor"),
            func.max(Payment.paid_at).filter(is_retained).label("last_payment_at"),
        )
        .outerjoin(refunds, refunds.c.payment_id == Payment.id)
        .outerjoin(disputes, disputes.c.payment_id == Payment.id)
        .where(is_successful)
        .group_by(Payment.pledge_id)
    )
    if pledge_ids is not None:
        query = query.where(Payment.pledge_id.in_(pledge_ids))
    return cast("Select[Any]", query)


def _rows_by_payment(
    session: Session, table: Any, ids: list[uuid.UUID], *order: InstrumentedAttribute[Any]
) -> dict[uuid.UUID, list[Any]]:
    rows: dict[uuid.UUID, list[Any]] = defaultdict(list)
    for row in session.scalars(select(table).where(table.payment_id.in_(ids)).order_by(*order, table.id)):
        rows[row.payment_id].append(row)
    return rows


def _by_payment(
    table: type[Refund] | type[Dispute], condition: ColumnElement[bool], pledge_ids: Sequence[Any] | None
) -> Any:
    query = (
        select(table.payment_id, func.sum(table.amount_minor).label("amount_minor"))
        .where(condition)
        .group_by(table.payment_id)
    )
    if pledge_ids is not None:
        query = query.join(Payment, Payment.id == table.payment_id).where(Payment.pledge_id.in_(pledge_ids))
    return query.subquery()


def _by_currency(
    session: Session, table: type[Refund] | type[Dispute], condition: ColumnElement[bool]
) -> dict[str, int]:
    rows = session.execute(
        select(table.currency, func.sum(table.amount_minor)).where(condition).group_by(table.currency)
    )
    return {currency: int(amount) for currency, amount in rows}
