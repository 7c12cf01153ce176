"""Reading pledges and their payments: lists and exports for staff, and a supporter's own."""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, literal, not_, or_, select, type_coerce
from sqlalchemy.orm import Session, aliased, selectinload

from schemas.enums import Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.db.models.campaign import Campaign
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.db.models.supporter import EMAIL_TYPE, Supporter
from service.db.types import EncryptedText
from service.domain.campaigns.periods import UTC, Calendars, calendars, is_in_period
from service.domain.errors import PledgeNotFound
from service.domain.ledger.totals import totals_by_pledge_query
from service.domain.pagination import Page, decode_cursor, encode_cursor
from service.domain.pledges.status import RUNNING_STATUSES
from service.domain.pledges.subscriptions import is_recurring_active

BATCH_SIZE = 500
EMAIL_OR_PLACEHOLDER = EncryptedText(EMAIL_TYPE.context, on_decrypt_error="(no key opens this address)")


@dataclass(frozen=True, kw_only=True)
class PledgeFilter:
    """Which pledges to list, and of which payments to show the totals. None means any.

    The ends of periods are as in `is_in_period`: days in the calendar of `tz`, or of each pledge's campaign. With
    `paid_from` or `paid_to`, pledges without a successful payment in that period are left out.
    `giving_twice` asks for running recurring pledges of supporters with another one in the same campaign.
    """

    status: PledgeStatus | None = None
    frequency: Frequency | None = None
    campaign: str | None = None
    created_from: datetime.date | None = None
    created_to: datetime.date | None = None
    paid_from: datetime.date | None = None
    paid_to: datetime.date | None = None
    tz: str | None = None
    giving_twice: bool | None = None


@dataclass(frozen=True, kw_only=True)
class PaymentWithRefunds:
    """A payment and the sum of its successful refunds in minor units."""

    payment: Payment
    refunded_minor: int

    @property
    def has_receipt(self) -> bool:
        """Whether the payment succeeded; a failed one has no receipt."""
        return self.payment.status != PaymentStatus.FAILED


def list_pledges(session: Session, filters: PledgeFilter, *, limit: int, cursor: str | None) -> Page:
    """Return up to `limit` pledges, the newest first, without email addresses.

    The cursor is the last id of a page, so pledges created in the meantime neither repeat a row nor hide one.

    Raises:
        InvalidCursor: this list did not issue the cursor.
    """
    days = calendars(session, filters.tz)
    query = select(Pledge.id).join(Campaign, Campaign.id == Pledge.campaign_id)
    page = _apply_filter(query, filters, days).order_by(Pledge.id.desc()).limit(limit + 1)
    if cursor is not None:
        page = page.where(Pledge.id < decode_cursor(cursor))
    # Selecting the ids first keeps the sums over payments to the pledges of this page.
    ids = list(session.scalars(page))
    rows = list(session.execute(_pledge_query(filters, days, ids[:limit]).order_by(Pledge.id.desc())))
    return Page(rows, encode_cursor(ids[limit - 1]) if len(ids) > limit else None)


def stream_pledges(session: Session, filters: PledgeFilter) -> Iterator[Row[Any]]:
    """Yield every pledge with its email address, the oldest first, with `BATCH_SIZE` rows in memory at a time.

    `timezone` is the filter's or else the campaign's. An address that cannot be decrypted is replaced by a
    placeholder, so that it does not stop the export.
    """
    days = calendars(session, filters.tz)
    query = (
        _apply_filter(_pledge_query(filters, days), filters, days)
        .outerjoin(Supporter, Supporter.id == Pledge.supporter_id)
        .add_columns(type_coerce(Supporter.email, EMAIL_OR_PLACEHOLDER).label("email"))
        .order_by(Pledge.id)
        .execution_options(yield_per=BATCH_SIZE)
    )
    yield from session.execute(query)


def export_timezone(session: Session, filters: PledgeFilter) -> str:
    """Return the time zone of an export as a whole: the filter's, or the one of all its campaigns, or UTC."""
    if filters.tz is not None:
        return filters.tz
    zones = select(Campaign.timezone).distinct()
    if filters.campaign is not None:
        zones = zones.where(Campaign.slug == filters.campaign)
    found = session.scalars(zones).all()
    return found[0] if len(found) == 1 else UTC


def pledges_for_supporter(session: Session, supporter_id: uuid.UUID) -> Sequence[Pledge]:
    """Return a supporter's pledges: the active recurring ones first, then the newest."""
    pledges = session.scalars(
        select(Pledge)
        .where(
            Pledge.supporter_id == supporter_id,
            # An abandoned checkout is left out; one whose payment bounced is shown.
            or_(Pledge.status != PledgeStatus.EXPIRED, Pledge.checkout_completed_at.is_not(None)),
        )
        .options(selectinload(Pledge.campaign).selectinload(Campaign.pledge_options))
        .order_by(Pledge.created_at.desc())
    ).all()
    return sorted(pledges, key=lambda pledge: not is_recurring_active(pledge))


def other_recurring_pledge(pledge: Pledge, supporter_pledges: Iterable[Pledge]) -> Pledge | None:
    """Return the oldest other running recurring pledge of the same campaign, if this one runs as well."""
    others = _other_recurring(pledge, supporter_pledges)
    return min(others, key=lambda other: other.created_at) if others and is_recurring_active(pledge) else None


def is_newest_recurring_pledge(pledge: Pledge, supporter_pledges: Iterable[Pledge]) -> bool:
    """Whether no running recurring pledge of the same campaign was created after this one."""
    others = _other_recurring(pledge, supporter_pledges)
    return all((other.created_at, other.id) < (pledge.created_at, pledge.id) for other in others)


def _other_recurring(pledge: Pledge, supporter_pledges: Iterable[Pledge]) -> list[Pledge]:
    return [
        other
        for other in supporter_pledges
        if other.id != pledge.id and other.campaign_id == pledge.campaign_id and is_recurring_active(other)
    ]


def count_running_pledges(session: Session, campaign: Campaign) -> int:
    """Return how many recurring pledges of a campaign run, including those whose first payment is on its way."""
    query = select(func.count()).select_from(Pledge)
    return session.scalar(query.where(Pledge.campaign_id == campaign.id, *_is_running(Pledge))) or 0


def count_supporters_giving_twice(session: Session) -> int:
    """Return how many supporters have more than one active recurring pledge in one campaign."""
    twice = select(func.count(Pledge.supporter_id.distinct())).where(_gives_twice())
    return session.scalar(twice) or 0


def get_supporter_pledge(session: Session, pledge_id: uuid.UUID, supporter_id: uuid.UUID) -> Pledge:
    """Return a supporter's own pledge.

    Raises:
        PledgeNotFound: no pledge has this id, or it is not theirs; the error does not tell which.
    """
    pledge = session.get(Pledge, pledge_id)
    if pledge is None or pledge.supporter_id != supporter_id:
        raise PledgeNotFound("You have no pledge with this id.")
    return pledge


def payments_for(
    session: Session, pledge_ids: Iterable[uuid.UUID]
) -> Mapping[uuid.UUID, list[PaymentWithRefunds]]:
    """Return the payments of each pledge, the newest first; a pledge without any has an empty list."""
    refunds = (
        select(Refund.payment_id, func.sum(Refund.amount_minor).label("refunded_minor"))
        .where(Refund.status == RefundStatus.SUCCEEDED)
        .group_by(Refund.payment_id)
        .subquery()
    )
    rows = session.execute(
        select(Payment, func.coalesce(refunds.c.refunded_minor, 0))
        .outerjoin(refunds, refunds.c.payment_id == Payment.id)
        .where(Payment.pledge_id.in_(list(pledge_ids)))
        .order_by(Payment.paid_at.desc(), Payment.id.desc())
    )
    payments: dict[uuid.UUID, list[PaymentWithRefunds]] = defaultdict(list)
    for payment, refunded_minor in rows:
        payments[payment.pledge_id].append(PaymentWithRefunds(payment=payment, refunded_minor=int(refunded_minor)))
    return payments


def get_receipt_payment(session: Session, payment_id: uuid.UUID, pledge: Pledge) -> PaymentWithRefunds:
    """Return a payment of the pledge that has a receipt.

    Raises:
        PledgeNotFound: the pledge has no such payment.
    """
    for paid in payments_for(session, [pledge.id])[pledge.id]:
        if paid.payment.id == payment_id and paid.has_receipt:
            return paid
    raise PledgeNotFound("There is no such payment of this pledge.")


def pledge_id_for_payment(session: Session, payment_id: uuid.UUID) -> uuid.UUID:
    """Return the id of the pledge that a payment belongs to.

    Raises:
        PledgeNotFound: no payment has this id.
    """
    pledge_id = session.scalar(select(Payment.pledge_id).where(Payment.id == payment_id))
    if pledge_id is None:
        raise PledgeNotFound("There is no such payment.")
    return pledge_id


def _pledge_query(filters: PledgeFilter, days: Calendars, ids: Sequence[uuid.UUID] | None = None) -> Select[Any]:
    """Return the query of every column for staff except the email address, for these pledges or for all."""
    totals = totals_by_pledge_query(ids, paid_when=_paid_when(filters, days)).subquery()
    query = (
        select(
            Pledge.id,
            Pledge.created_at,
            Campaign.slug.label("campaign"),
            Pledge.status,
            Pledge.frequency,
            Pledge.amount_minor,
            Pledge.currency,
            func.coalesce(totals.c.payments, 0).label("payments"),
            func.coalesce(totals.c.paid_minor, 0).label("paid_minor"),
            totals.c.last_payment_at,
            Pledge.page_url,
            Pledge.variant,
            Pledge.gateway,
            Pledge.gateway_reference,
            Pledge.is_paused,
            Pledge.resumes_at,
            (Campaign.timezone if filters.tz is None else literal(filters.tz)).label("timezone"),
        )
        .join(Campaign, Campaign.id == Pledge.campaign_id)
        .outerjoin(totals, totals.c.pledge_id == Pledge.id)
    )
    return query if ids is None else query.where(Pledge.id.in_(ids))


def _apply_filter(query: Select[Any], filters: PledgeFilter, days: Calendars) -> Select[Any]:
    """Return a query of pledges that is joined with their campaigns, for the pledges of the filter."""
    if filters.status is not None:
        query = query.where(Pledge.status == filters.status)
    if filters.frequency is not None:
        query = query.where(Pledge.frequency == filters.frequency)
    if filters.campaign is not None:
        query = query.where(Campaign.slug == filters.campaign)
    if filters.created_from is not None or filters.created_to is not None:
        query = query.where(is_in_period(Pledge.created_at, filters.created_from, filters.created_to, days))
    paid_when = _paid_when(filters, days)
    if paid_when is not None:
        query = query.where(
            select(Payment.id)
            .where(Payment.pledge_id == Pledge.id, Payment.status != PaymentStatus.FAILED, paid_when)
            .exists()
        )
    if filters.giving_twice is not None:
        query = query.where(_gives_twice() if filters.giving_twice else not_(_gives_twice()))
    return query


def _paid_when(filters: PledgeFilter, days: Calendars) -> ColumnElement[bool] | None:
    """Return the condition on the payments whose totals are shown; None for all."""
    if filters.paid_from is None and filters.paid_to is None:
        return None
    return is_in_period(Payment.paid_at, filters.paid_from, filters.paid_to, days)


def _gives_twice() -> ColumnElement[bool]:
    """Return the condition that a pledge and another of its supporter and campaign are recurring and run."""
    other = aliased(Pledge)
    has_other = exists().where(
        other.supporter_id == Pledge.supporter_id,
        other.campaign_id == Pledge.campaign_id,
        other.id != Pledge.id,
        *_is_running(other),
    )
    return and_(*_is_running(Pledge), has_other)


def _is_running(pledge: type[Pledge]) -> tuple[ColumnElement[bool], ...]:
    return pledge.frequency != Frequency.ONCE, pledge.status.in_(RUNNING_STATUSES)
