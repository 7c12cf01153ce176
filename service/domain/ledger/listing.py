"""A pledge's payments as staff read them, with all that became of each."""

import uuid
from collections import defaultdict
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.models.payment import BalanceTransaction, Dispute, Payment, Refund


def list_payments(session: Session, pledge_id: uuid.UUID) -> list[dict[str, Any]]:
    """Return a pledge's payments, the oldest first: their columns, and `refunds`, `disputes` and `balances`."""
    payments = session.scalars(
        select(Payment).where(Payment.pledge_id == pledge_id).order_by(Payment.paid_at, Payment.id)
    ).all()
    ids = [payment.id for payment in payments]
    refunds, disputes = _by_payment(session, Refund, ids), _by_payment(session, Dispute, ids)
    balances = _by_payment(session, BalanceTransaction, ids)
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


def _by_payment(session: Session, table: Any, ids: list[uuid.UUID]) -> dict[uuid.UUID, list[Any]]:
    rows: dict[uuid.UUID, list[Any]] = defaultdict(list)
    for row in session.scalars(select(table).where(table.payment_id.in_(ids)).order_by(table.id)):
        rows[row.payment_id].append(row)
    return rows
