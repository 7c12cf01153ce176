"""What the gateway kept of each payment: asked for after the payment is in the books, and tried again later."""

import datetime
import uuid
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.enums import PaymentStatus
from service.db.models.payment import BalanceTransaction, Payment

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
