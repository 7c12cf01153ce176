"""Notifications before an annual pledge renews.

Card networks and several consumer laws require one at least seven days before. Ours is sent two weeks before.
"""

import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, func, not_, select
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, EmailStatus, Frequency, PledgeStatus
from service.db.models.email import OutgoingEmail
from service.db.models.pledge import Pledge
from service.domain.calendar import at_local_hour
from service.domain.email.outbox import enqueue_email
from service.domain.notifications.context import WITHHELD_REASONS
from service.domain.pledges.renewals import will_renew

LOOKAHEAD = datetime.timedelta(days=21)
# One day more than two weeks, so that a delay of some hours does not make it less.
LEAD_TIME = datetime.timedelta(days=15)
# A notification with an older event date is about the renewal of another year.
SAME_RENEWAL_WINDOW = datetime.timedelta(days=30)
BATCH_SIZE = 200


def enqueue_renewal_notifications(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Enqueue a notification for annual pledges that renew within three weeks and have none yet; return how many.

    It is due at the campaign's sending hour in its time zone, or now if that has passed.
    """
    since = (now - SAME_RENEWAL_WINDOW).date()
    is_withheld = and_(OutgoingEmail.status == EmailStatus.SKIPPED, OutgoingEmail.reason.in_(WITHHELD_REASONS))
    existing = select(OutgoingEmail.id).where(
        OutgoingEmail.pledge_id == Pledge.id,
        OutgoingEmail.kind == EmailKind.RENEWAL,
        OutgoingEmail.event_date > since,
        # One that was withheld is announced again, once the end or the pause is undone.
        not_(is_withheld),
    )
    pledges = session.scalars(
        select(Pledge)
        .where(
            _is_active(),
            Pledge.frequency == Frequency.ANNUAL,
            Pledge.renews_at > now,
            Pledge.renews_at <= now + LOOKAHEAD,
            Pledge.cancel_requested_at.is_(None),
            will_renew(),
            Pledge.supporter_id.is_not(None),
            ~existing.exists(),
        )
        .order_by(Pledge.renews_at, Pledge.id)
        .limit(limit)
        .with_for_update(of=Pledge, skip_locked=True)
    ).all()
    for pledge in pledges:
        if pledge.renews_at is not None:
            _enqueue(session, pledge, pledge.renews_at, now=now)
    return len(pledges)


def _is_active() -> ColumnElement[bool]:
    # A literal, because a database cannot match a parameter with the condition of a partial index.
    active: BindParameter[PledgeStatus] = bindparam(
        None, PledgeStatus.ACTIVE, type_=Pledge.status.type, literal_execute=True, unique=True
    )
    return Pledge.status == active


def _enqueue(session: Session, pledge: Pledge, renews_at: datetime.datetime, *, now: datetime.datetime) -> None:
    campaign = pledge.campaign
    event_date = renews_at.astimezone(ZoneInfo(campaign.timezone)).date()
    send_at = at_local_hour(event_date - LEAD_TIME, zone=campaign.timezone, hour=campaign.send_hour).instant
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
