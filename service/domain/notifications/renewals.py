"""Telling readers in time that a year is over soon and the next will be paid.

Card networks and several consumer laws ask for a notice at least seven days before; ours leaves a fortnight ahead.
"""

import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, ColumnElement, bindparam, select
from sqlalchemy.orm import Session

from schemas.enums import Frequency, NotificationKind, PledgeStatus
from service.db.models.email import Notification
from service.db.models.pledge import Pledge
from service.domain.calendar import at_local_hour
from service.domain.email.outbox import enqueue_notification

LOOKAHEAD = datetime.timedelta(days=21)
# One day more than a fortnight, so that an hour of delay does not make it less.
LEAD_TIME = datetime.timedelta(days=15)
# A notice about a day that was so long ago cannot be about the next renewal, a year later.
SAME_RENEWAL_WINDOW = datetime.timedelta(days=30)
BATCH_SIZE = 200


def enqueue_renewal_notifications(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Write down a notice for annual pledges that renew within three weeks and have none yet; return how many.

    It leaves in the morning where the campaign is at home, or at once if that is over.
    """
    earlier = (now - SAME_RENEWAL_WINDOW).date()
    told = select(Notification.id).where(
        Notification.pledge_id == Pledge.id,
        Notification.kind == NotificationKind.RENEWAL,
        Notification.event_date > earlier,
    )
    pledges = session.scalars(
        select(Pledge)
        .where(
            _is_active(),
            Pledge.frequency == Frequency.ANNUAL,
            Pledge.renews_at > now,
            Pledge.renews_at <= now + LOOKAHEAD,
            Pledge.cancel_requested_at.is_(None),
            Pledge.supporter_id.is_not(None),
            ~told.exists(),
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
    # The word stands in the statement, because no database proves from a parameter what a partial index covers.
    word: BindParameter[PledgeStatus] = bindparam(
        None, PledgeStatus.ACTIVE, type_=Pledge.status.type, literal_execute=True, unique=True
    )
    return Pledge.status == word


def _enqueue(session: Session, pledge: Pledge, renews_at: datetime.datetime, *, now: datetime.datetime) -> None:
    campaign = pledge.campaign
    falls_on = renews_at.astimezone(ZoneInfo(campaign.timezone)).date()
    leaves = at_local_hour(falls_on - LEAD_TIME, zone=campaign.timezone, hour=campaign.send_hour).instant
    enqueue_notification(
        session,
        NotificationKind.RENEWAL,
        f"{pledge.id}:{falls_on}",
        lang=pledge.lang or campaign.lang,
        now=now,
        due_at=max(leaves, now),
        supporter_id=pledge.supporter_id,
        pledge_id=pledge.id,
        event_date=falls_on,
    )
