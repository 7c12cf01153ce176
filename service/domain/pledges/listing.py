"""Pledges as staff read them: one query, filtered, in pages or as a stream."""

import datetime
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select, type_coerce
from sqlalchemy.orm import Session

from schemas.enums import Frequency, PledgeStatus
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.db.models.supporter import EMAIL_TYPE, Supporter
from service.db.types import EncryptedText
from service.domain.ledger.totals import totals_by_pledge_query
from service.domain.pagination import Page, decode_cursor, encode_cursor

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
