"""Emails before an annual pledge renews, and once a year to those who give monthly.

Card networks and several consumer laws require the first at least seven days before; a campaign sets how many days
it is. Where a campaign wants it, the second says what a reader gives and how to cancel, as the laws on automatic
renewal of California and New York ask for.
"""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Iterable
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, func, not_, or_, select, true
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, EmailStatus, Frequency, PledgeStatus
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.pledge import Pledge
from service.domain.calendar import at_local_hour
from service.domain.email.outbox import enqueue_email
from service.domain.notifications.context import WITHHELD_REASONS
from service.domain.pledges.renewals import renewal_email_at, started_at, will_renew

# Emails are enqueued some days before they are due.
LOOKAHEAD = datetime.timedelta(days=7)
# A notification with an older event date is about the renewal of another year.
SAME_RENEWAL_WINDOW = datetime.timedelta(days=30)
# When a campaign begins to send the yearly emails, those whose day was longer ago wait for the next year.
YEARLY_WINDOW = datetime.timedelta(days=14)
MAX_YEARS = 50
DAY = datetime.timedelta(days=1)
BATCH_SIZE = 200


def enqueue_renewal_notifications(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Enqueue a notification for annual pledges whose renewal is near and that have none yet; return how many.

    It is due at the campaign's sending hour in its time zone, as many days before the renewal as it sets, or now
    if that has passed.
    """
    total = 0
    for days, campaign_ids in _campaigns_by_lead_time(session).items():
        pledges = _pledges_to_announce(session, days, campaign_ids, now=now, limit=limit - total)
        for pledge in pledges:
            _enqueue(session, pledge, now=now)
        total += len(pledges)
        if total >= limit:
            break
    return total


def enqueue_monthly_yearly_notifications(
    session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE
) -> int:
    """Enqueue the yearly email for monthly pledges whose anniversary has come or is tomorrow; return how many.

    Only where a campaign wants it. It is due at the campaign's sending hour on that day, or now if that is over.
    """
    wanting = session.scalars(select(Campaign.id).where(Campaign.notices_monthly_yearly == true())).all()
    if not wanting:
        return 0
    began = func.coalesce(Pledge.checkout_completed_at, Pledge.created_at)
    existing = select(OutgoingEmail.id).where(
        OutgoingEmail.pledge_id == Pledge.id,
        OutgoingEmail.kind == EmailKind.MONTHLY_YEARLY,
        OutgoingEmail.created_at > now - 2 * YEARLY_WINDOW,
    )
    anniversaries = [
        and_(began > day - YEARLY_WINDOW, began <= day)
        for day in (_years_before(now + DAY, years) for years in range(1, MAX_YEARS + 1))
    ]
    pledges = session.scalars(
        select(Pledge)
        .where(
            _is_active(),
            Pledge.frequency == Frequency.MONTHLY,
            Pledge.campaign_id.in_(wanting),
            Pledge.renews_at > now,
            Pledge.cancel_requested_at.is_(None),
            will_renew(),
            Pledge.supporter_id.is_not(None),
            or_(*anniversaries),
            ~existing.exists(),
        )
        .order_by(Pledge.id)
        .limit(limit)
        .with_for_update(of=Pledge, skip_locked=True)
    ).all()
    for pledge in pledges:
        _enqueue_yearly(session, pledge, now=now)
    return len(pledges)


def _campaigns_by_lead_time(session: Session) -> dict[int, list[uuid.UUID]]:
    campaigns: dict[int, list[uuid.UUID]] = defaultdict(list)
    for campaign_id, days in session.execute(select(Campaign.id, Campaign.notices_renewal_days)):
        campaigns[days].append(campaign_id)
    return campaigns


def _pledges_to_announce(
    session: Session, days: int, campaign_ids: Iterable[uuid.UUID], *, now: datetime.datetime, limit: int
) -> list[Pledge]:
    since = (now - SAME_RENEWAL_WINDOW).date()
    is_withheld = and_(OutgoingEmail.status == EmailStatus.SKIPPED, OutgoingEmail.reason.in_(WITHHELD_REASONS))
    existing = select(OutgoingEmail.id).where(
        OutgoingEmail.pledge_id == Pledge.id,
        OutgoingEmail.kind == EmailKind.RENEWAL,
        OutgoingEmail.event_date > since,
        # One that was withheld is announced again, once the end or the pause is undone.
        not_(is_withheld),
    )
    query = (
        select(Pledge)
        .where(
            _is_active(),
            Pledge.frequency == Frequency.ANNUAL,
            Pledge.campaign_id.in_(campaign_ids),
            Pledge.renews_at > now,
            Pledge.renews_at <= now + datetime.timedelta(days=days) + LOOKAHEAD,
            Pledge.cancel_requested_at.is_(None),
            will_renew(),
            Pledge.supporter_id.is_not(None),
            ~existing.exists(),
        )
        .order_by(Pledge.renews_at, Pledge.id)
        .limit(limit)
        .with_for_update(of=Pledge, skip_locked=True)
    )
    return list(session.scalars(query))


def _is_active() -> ColumnElement[bool]:
    # A literal, because a database cannot match a parameter with the condition of a partial index.
    active: BindParameter[PledgeStatus] = bindparam(
        None, PledgeStatus.ACTIVE, type_=Pledge.status.type, literal_execute=True, unique=True
    )
    return Pledge.status == active


def _enqueue(session: Session, pledge: Pledge, *, now: datetime.datetime) -> None:
    campaign = pledge.campaign
    event_date = (pledge.renews_at or now).astimezone(ZoneInfo(campaign.timezone)).date()
    send_at = renewal_email_at(campaign, event_date)
    withheld = session.scalar(
        select(func.count())
        .select_from(OutgoingEmail)
        .where(
            OutgoingEmail.pledge_id == pledge.id,
            OutgoingEmail.kind == EmailKind.RENEWAL,
            OutgoingEmail.event_date == event_date,
        )
    )
    enqueue_email(
        session,
        EmailKind.RENEWAL,
        f"{pledge.id}:{event_date}" + (f"#{withheld + 1}" if withheld else ""),
        lang=pledge.lang or campaign.lang,
        now=now,
        due_at=max(send_at, now),
        supporter_id=pledge.supporter_id,
        pledge_id=pledge.id,
        event_date=event_date,
        happened_at=send_at,
    )


def _enqueue_yearly(session: Session, pledge: Pledge, *, now: datetime.datetime) -> None:
    campaign = pledge.campaign
    zone = ZoneInfo(campaign.timezone)
    began_on, tomorrow = started_at(pledge).astimezone(zone).date(), (now + DAY).astimezone(zone).date()
    years = tomorrow.year - began_on.year - (_in_year(began_on, tomorrow.year) > tomorrow)
    day = _in_year(began_on, began_on.year + years)
    send_at = at_local_hour(day, zone=campaign.timezone, hour=campaign.send_hour).instant
    enqueue_email(
        session,
        EmailKind.MONTHLY_YEARLY,
        f"{pledge.id}:{day.year}",
        lang=pledge.lang or campaign.lang,
        now=now,
        due_at=max(send_at, now),
        supporter_id=pledge.supporter_id,
        pledge_id=pledge.id,
        event_date=day,
        happened_at=send_at,
    )


def _years_before(at: datetime.datetime, years: int) -> datetime.datetime:
    return datetime.datetime.combine(_in_year(at.date(), at.year - years), at.timetz())


def _in_year(day: datetime.date, year: int) -> datetime.date:
    """Return the same day in another year; 29 February is the 28th where there is none."""
    try:
        return day.replace(year=year)
    except ValueError:
        return day.replace(year=year, day=28)
