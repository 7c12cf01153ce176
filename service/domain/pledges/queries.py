"""Pledges as staff read them: one query, filtered, in pages or as a stream."""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select, type_coerce
from sqlalchemy.orm import Session, selectinload

from schemas.enums import Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.db.models.campaign import Campaign
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.db.models.supporter import EMAIL_TYPE, Supporter
from service.db.types import EncryptedText
from service.domain.errors import PledgeNotFound
from service.domain.ledger.totals import totals_by_pledge_query
from service.domain.pagination import Page, decode_cursor, encode_cursor
from service.domain.pledges.subscriptions import is_recurring_active

BATCH_SIZE = 500
EMAIL_OR_PLACEHOLDER = EncryptedText(EMAIL_TYPE.context, on_decrypt_error="(no key opens this address)")


@dataclass(frozen=True, kw_only=True)
class PledgeFilter:
    """Which pledges; what is None filters nothing. `created_to` is the first instant that is too late."""

    status: PledgeStatus | None = None
    frequency: Frequency | None = None
    campaign: str | None = None
    created_from: datetime.datetime | None = None
    created_to: datetime.datetime | None = None


def list_pledges(session: Session, filters: PledgeFilter, *, limit: int, cursor: str | None) -> Page:
    """Return up to `limit` pledges, the newest first, without their readers' addresses.

    The cursor is the last id seen, so that pledges made meanwhile neither repeat a row nor hide one.

    Raises:
        InvalidCursor: the cursor is not one that was given out.
    """
    page = _apply_filter(select(Pledge.id), filters).order_by(Pledge.id.desc()).limit(limit + 1)
    if cursor is not None:
        page = page.where(Pledge.id < decode_cursor(cursor))
    # Which pledges comes first, so that the payments of no others are added up.
    ids = list(session.scalars(page))
    rows = list(session.execute(_pledge_query(ids[:limit]).order_by(Pledge.id.desc())))
    return Page(rows, encode_cursor(ids[limit - 1]) if len(ids) > limit else None)


def stream_pledges(session: Session, filters: PledgeFilter) -> Iterator[Row[Any]]:
    """Yield every pledge with its reader's address, the oldest first, holding only a few hundred in memory.

    An address that no key opens is named as such, so that it costs its own row and not the rest of the file.
    """
    query = (
        _apply_filter(_pledge_query(), filters)
        .outerjoin(Supporter, Supporter.id == Pledge.supporter_id)
        .add_columns(type_coerce(Supporter.email, EMAIL_OR_PLACEHOLDER).label("email"))
        .order_by(Pledge.id)
        .execution_options(yield_per=BATCH_SIZE)
    )
    yield from session.execute(query)


def _pledge_query(ids: Sequence[uuid.UUID] | None = None) -> Select[Any]:
    """Return the query of all columns that staff see but for the address, of these pledges or of all."""
    paid_by_pledge = totals_by_pledge_query(ids).subquery()
    query = (
        select(
            Pledge.id,
            Pledge.created_at,
            Campaign.slug.label("campaign"),
            Pledge.status,
            Pledge.frequency,
            Pledge.amount_minor,
            Pledge.currency,
            func.coalesce(paid_by_pledge.c.payments, 0).label("payments"),
            func.coalesce(paid_by_pledge.c.paid_minor, 0).label("paid_minor"),
            paid_by_pledge.c.last_payment_at,
            Pledge.page_url,
            Pledge.variant,
            Pledge.gateway,
            Pledge.gateway_reference,
        )
        .join(Campaign, Campaign.id == Pledge.campaign_id)
        .outerjoin(paid_by_pledge, paid_by_pledge.c.pledge_id == Pledge.id)
    )
    return query if ids is None else query.where(Pledge.id.in_(ids))


def _apply_filter(query: Select[Any], filters: PledgeFilter) -> Select[Any]:
    """Return a query of pledges that yields only those that are wanted."""
    if filters.status is not None:
        query = query.where(Pledge.status == filters.status)
    if filters.frequency is not None:
        query = query.where(Pledge.frequency == filters.frequency)
    if filters.campaign is not None:
        query = query.where(Pledge.campaign.has(slug=filters.campaign))
    if filters.created_from is not None:
        query = query.where(Pledge.created_at >= filters.created_from)
    if filters.created_to is not None:
        query = query.where(Pledge.created_at < filters.created_to)
    return query


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
