"""What erasing a supporter would end and keep, to be shown before they confirm it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from schemas.enums import PledgeStatus, RefundStatus
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.pledges.renewals import SANDBOX_GATEWAY
from service.domain.pledges.subscriptions import is_recurring_active
from service.domain.privacy.erasure import KeptData


@dataclass(frozen=True, kw_only=True)
class ErasurePreview:
    """The pledges that would end, money that is still on its way in or out, and what would be kept."""

    ending: Sequence[Pledge]
    has_payment_on_its_way: bool
    has_refund_on_its_way: bool
    kept: tuple[KeptData, ...]


def preview_erasure(session: Session, supporter_id: uuid.UUID) -> ErasurePreview:
    """Return what an erasure of this supporter would do now."""
    query = select(Pledge).where(Pledge.supporter_id == supporter_id).order_by(Pledge.id)
    pledges = session.scalars(query.options(selectinload(Pledge.campaign))).all()
    refunds = (
        select(Refund.id)
        .join(Payment, Payment.id == Refund.payment_id)
        .join(Pledge, Pledge.id == Payment.pledge_id)
        .where(
            Pledge.supporter_id == supporter_id,
            Refund.status.in_((RefundStatus.REQUESTED, RefundStatus.PENDING)),
        )
    )
    kept = [KeptData.PLEDGES] if pledges else []
    if any(pledge.gateway != SANDBOX_GATEWAY for pledge in pledges):
        kept.append(KeptData.AT_PROCESSOR)
    return ErasurePreview(
        ending=[pledge for pledge in pledges if is_recurring_active(pledge)],
        has_payment_on_its_way=any(pledge.status == PledgeStatus.PROCESSING for pledge in pledges),
        has_refund_on_its_way=session.scalar(refunds.limit(1)) is not None,
        kept=(*kept, KeptData.HASH),
    )
