"""One receipt a year: the reader's choice, and the email in January that says it is ready.

With this choice the renewals of monthly and annual pledges have no receipt of their own by email (see
`service.domain.pledges.notifications`). The receipt itself is the statement of the year.
"""

import datetime
import uuid

from sqlalchemy import select, true, update
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, Frequency, PaymentStatus
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.db.models.supporter import Supporter
from service.domain.calendar import at_local_hour
from service.domain.campaigns.periods import calendars, is_in_period
from service.domain.email.outbox import enqueue_email
from service.domain.notifications.statements import Period

# On the first of January the year is not over yet in every time zone.
FIRST_DAY = 2
# A reader who chooses one receipt a year later than this gets the first email a year later.
LAST_MONTH = 3
BATCH_SIZE = 200


def wants_yearly_receipts(session: Session, supporter_id: uuid.UUID) -> bool:
    """Whether the supporter has chosen one receipt a year."""
    query = select(Supporter.yearly_receipts).where(Supporter.id == supporter_id)
    return session.scalar(query) or False


def choose_receipts(session: Session, supporter_id: uuid.UUID, *, yearly: bool) -> None:
    """Store whether the supporter wants one receipt a year."""
    session.execute(update(Supporter).where(Supporter.id == supporter_id).values(yearly_receipts=yearly))


def enqueue_yearly_receipts(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Enqueue the email about last year's receipt for supporters who want it and paid regularly; return how many.

    It is due at the sending hour of the campaign that they gave to last, on 2 January or now if that is over.
    """
    if now.month > LAST_MONTH or now < now.replace(month=1, day=FIRST_DAY, hour=0, minute=0):
        return 0
    year = Period.of_year(now.year - 1)
    paid = (
        select(Payment.id)
        .join(Pledge, Pledge.id == Payment.pledge_id)
        .join(Campaign, Campaign.id == Pledge.campaign_id)
        .where(
            Pledge.supporter_id == Supporter.id,
            Pledge.frequency != Frequency.ONCE,
            Payment.status != PaymentStatus.FAILED,
            is_in_period(Payment.paid_at, year.first, year.last, calendars(session, None)),
        )
    )
    existing = select(OutgoingEmail.id).where(
        OutgoingEmail.kind == EmailKind.YEARLY_RECEIPT,
        OutgoingEmail.supporter_id == Supporter.id,
        OutgoingEmail.event_date == year.last,
    )
    supporter_ids = session.scalars(
        select(Supporter.id)
        .where(Supporter.yearly_receipts == true(), paid.exists(), ~existing.exists())
        .order_by(Supporter.id)
        .limit(limit)
        .with_for_update(of=Supporter, skip_locked=True)
    ).all()
    for supporter_id in supporter_ids:
        _enqueue(session, supporter_id, year, now=now)
    return len(supporter_ids)


def _enqueue(session: Session, supporter_id: uuid.UUID, year: Period, *, now: datetime.datetime) -> None:
    pledge = session.scalars(
        select(Pledge)
        .where(Pledge.supporter_id == supporter_id, Pledge.frequency != Frequency.ONCE)
        .order_by(Pledge.id.desc())
        .limit(1)
    ).one()
    campaign = pledge.campaign
    day = datetime.date(year.last.year + 1, 1, FIRST_DAY)
    send_at = at_local_hour(day, zone=campaign.timezone, hour=campaign.send_hour).instant
    enqueue_email(
        session,
        EmailKind.YEARLY_RECEIPT,
        f"{supporter_id}:{year.last.year}",
        lang=pledge.lang or campaign.lang,
        now=now,
        due_at=max(send_at, now),
        supporter_id=supporter_id,
        event_date=year.last,
        happened_at=send_at,
    )
