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

from schemas.enums import PaymentStatus, RefundStatus
from service.db.models.campaign import Campaign
from service.db.models.payment import BalanceTransaction, Dispute, Payment, Refund
from service.db.models.pledge import Pledge

# Of these payments nothing is withheld by an undecided dispute, and the newsroom has all or a part.
RETAINED_STATUSES = (PaymentStatus.SUCCEEDED, PaymentStatus.PARTIALLY_REFUNDED)


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
    totals = totals_by_payment_query().subquery()
    rows = session.execute(
        select(
            totals.c.currency,
            func.count().filter(totals.c.net_minor > 0),
            func.sum(totals.c.amount_minor),
            func.sum(totals.c.refunded_minor),
            func.sum(totals.c.disputed_minor),
        )
        .group_by(totals.c.currency)
        .order_by(totals.c.currency)
    )
    return [
        CurrencyTotal(
            currency=currency,
            payments=payments,
            received=int(received),
            refunded=int(refunded),
            disputed=int(disputed),
        )
        for currency, payments, received, refunded, disputed in rows
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


def totals_by_pledge_query(
    pledge_ids: Sequence[Any] | None = None, *, paid_when: ColumnElement[bool] | None = None
) -> Select[Any]:
    """Return the query of what the newsroom has of each pledge's payments, for these pledges or for all.

    Only payments that fulfil `paid_when` count; it may name the columns of `Payment` and `Campaign`. What was
    refunded and withheld of them is deducted, whenever that was. A pledge without such a successful payment has no
    row. The columns are `pledge_id`, `payments`, `paid_minor` and `last_payment_at`.
    """
    by_payment = totals_by_payment_query(pledge_ids)
    if paid_when is not None:
        by_payment = (
            by_payment.join(Pledge, Pledge.id == Payment.pledge_id)
            .join(Campaign, Campaign.id == Pledge.campaign_id)
            .where(paid_when)
        )
    totals = by_payment.subquery()
    is_retained = totals.c.net_minor > 0
    query = select(
        totals.c.pledge_id,
        func.count().filter(is_retained).label("payments"),
        func.sum(totals.c.net_minor).label("paid_minor"),
        func.max(totals.c.paid_at).filter(is_retained).label("last_payment_at"),
    ).group_by(totals.c.pledge_id)
    return cast("Select[Any]", query)


def net_amount(session: Session, payment: Payment) -> int:
    """Return what is left of a successful payment after its refunds and what disputes withhold, in minor units."""
    query = totals_by_payment_query([payment.pledge_id]).where(Payment.id == payment.id)
    return int(session.execute(query).one().net_minor)


def totals_by_payment_query(pledge_ids: Sequence[Any] | None = None) -> Select[Any]:
    """Return the query of each successful payment, what was refunded and withheld of it, and what is left.

    The columns are `pledge_id`, `currency`, `paid_at`, `amount_minor`, `refunded_minor`, `disputed_minor` and
    `net_minor`.
    """
    refunds = _by_payment(Refund, Refund.amount_minor, Refund.status == RefundStatus.SUCCEEDED, pledge_ids)
    disputes = _by_payment(Dispute, Dispute.withheld_minor, Dispute.withheld_minor > 0, pledge_ids)
    refunded_minor = func.coalesce(refunds.c.amount_minor, 0)
    disputed_minor = func.coalesce(disputes.c.amount_minor, 0)
    query = (
        select(
            Payment.pledge_id,
            Payment.currency,
            Payment.paid_at,
            Payment.amount_minor,
            refunded_minor.label("refunded_minor"),
            disputed_minor.label("disputed_minor"),
            (Payment.amount_minor - refunded_minor - disputed_minor).label("net_minor"),
        )
        .outerjoin(refunds, refunds.c.payment_id == Payment.id)
        .outerjoin(disputes, disputes.c.payment_id == Payment.id)
        .where(Payment.status != PaymentStatus.FAILED)
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
    table: type[Refund] | type[Dispute],
    amount: InstrumentedAttribute[int],
    condition: ColumnElement[bool],
    pledge_ids: Sequence[Any] | None,
) -> Any:
    query = (
        select(table.payment_id, func.sum(amount).label("amount_minor"))
        .where(condition)
        .group_by(table.payment_id)
    )
    if pledge_ids is not None:
        query = query.join(Payment, Payment.id == table.payment_id).where(Payment.pledge_id.in_(pledge_ids))
    return query.subquery()
