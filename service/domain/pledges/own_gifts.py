"""What one supporter gave and gives, as their own page shows it: pledges, payments, and what went back of them."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from schemas.enums import PaymentStatus, PledgeStatus, RefundStatus
from service.db.models.campaign import Campaign
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.errors import PledgeNotFound
from service.domain.pledges.changing import is_recurring_active


@dataclass(frozen=True, kw_only=True)
class PaymentWithRefunds:
    """A payment, and what went back of it in minor units."""

    payment: Payment
    refunded_minor: int

    @property
    def has_receipt(self) -> bool:
        """Whether money came; a try that failed has nothing to receipt."""
        return self.payment.status != PaymentStatus.FAILED


def pledges_for_supporter(session: Session, supporter_id: uuid.UUID) -> Sequence[Pledge]:
    """Return a supporter's pledges: those that still take money first, and then the newest."""
    pledges = session.scalars(
        select(Pledge)
        .where(Pledge.supporter_id == supporter_id, Pledge.status != PledgeStatus.EXPIRED)
        .options(selectinload(Pledge.campaign).selectinload(Campaign.pledge_options))
        .order_by(Pledge.created_at.desc())
    ).all()
    return sorted(pledges, key=lambda pledge: not is_recurring_active(pledge))


def get_supporter_pledge(session: Session, pledge_id: uuid.UUID, supporter_id: uuid.UUID) -> Pledge:
    """Return a supporter's own pledge.

    Raises:
        PledgeNotFound: there is none with this id, or it is not theirs, which is not told apart.
    """
    pledge = session.get(Pledge, pledge_id)
    if pledge is None or pledge.supporter_id != supporter_id:
        raise PledgeNotFound("You have no pledge with this id.")
    return pledge


def payments_for(
    session: Session, pledge_ids: Iterable[uuid.UUID]
) -> Mapping[uuid.UUID, list[PaymentWithRefunds]]:
    """Return the payments of these pledges, the newest first; a pledge without any has an empty list."""
    refunded = (
        select(Refund.payment_id, func.sum(Refund.amount_minor).label("minor"))
        .where(Refund.status == RefundStatus.SUCCEEDED)
        .group_by(Refund.payment_id)
        .subquery()
    )
    rows = session.execute(
        select(Payment, func.coalesce(refunded.c.minor, 0))
        .outerjoin(refunded, refunded.c.payment_id == Payment.id)
        .where(Payment.pledge_id.in_(list(pledge_ids)))
        .order_by(Payment.paid_at.desc(), Payment.id.desc())
    )
    found: dict[uuid.UUID, list[PaymentWithRefunds]] = defaultdict(list)
    for payment, minor in rows:
        found[payment.pledge_id].append(PaymentWithRefunds(payment=payment, refunded_minor=int(minor)))
    return found


def get_receipt_payment(session: Session, payment_id: uuid.UUID, pledge: Pledge) -> PaymentWithRefunds:
    """Return one payment of a pledge that a receipt can be shown for.

    Raises:
        PledgeNotFound: there is none.
    """
    for paid in payments_for(session, [pledge.id])[pledge.id]:
        if paid.payment.id == payment_id and paid.has_receipt:
            return paid
    raise PledgeNotFound("There is no such payment of this pledge.")


def pledge_id_for_payment(session: Session, payment_id: uuid.UUID) -> uuid.UUID:
    """Return the id of the pledge that a payment was for.

    Raises:
        PledgeNotFound: there is no such payment.
    """
    pledge_id = session.scalar(select(Payment.pledge_id).where(Payment.id == payment_id))
    if pledge_id is None:
        raise PledgeNotFound("There is no such payment.")
    return pledge_id
