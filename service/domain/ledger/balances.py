"""What the gateway kept of each payment: asked for after the payment is in the books, and tried again later."""

import datetime
import uuid
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.vocabulary import PaymentStatus
from service.db.payment import BalanceEntry, Payment

FRESH_FOR = datetime.timedelta(hours=1)
ASKED_FOR = datetime.timedelta(days=60)
FRESH_AT_ONCE, OLDER_AT_ONCE = 50, 10


@dataclass(frozen=True)
class Unknown:
    """A payment of which it is not known what the gateway kept, and its name there."""

    payment_id: uuid.UUID
    reference: str


def find_unknown_balances(session: Session, gateway: str, *, now: datetime.datetime) -> list[Unknown]:
    """Return some payments whose balance is to be asked for: the youngest, and a few of those over an hour old.

    The older ones are drawn by lot, so that one that never has a balance keeps no other from its turn.
    """
    fresh, oldest = now - FRESH_FOR, now - ASKED_FOR
    wanted = (
        select(Payment.id, Payment.gateway_reference)
        .outerjoin(BalanceEntry, BalanceEntry.payment_id == Payment.id)
        .where(
            Payment.gateway == gateway,
            Payment.status != PaymentStatus.FAILED,
            BalanceEntry.id.is_(None),
        )
    )
    youngest = wanted.where(Payment.id >= _first_id(fresh)).order_by(Payment.id).limit(FRESH_AT_ONCE)
    drawn = (
        wanted.where(Payment.id >= _first_id(oldest), Payment.id < _first_id(fresh))
        .order_by(func.random())
        .limit(OLDER_AT_ONCE)
    )
    return [Unknown(*row) for query in (youngest, drawn) for row in session.execute(query)]


def _first_id(at: datetime.datetime) -> uuid.UUID:
    """Return an id that no row has that was written down before: ids begin with their instant (RFC 9562)."""
    milliseconds = int(at.timestamp() * 1000)
    return uuid.UUID(int=milliseconds << 80)
