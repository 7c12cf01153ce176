"""What a notice is about, read for many at once, and whether it need not be told after all."""

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import LargeBinary, func, select, type_coerce
from sqlalchemy.orm import Session

from schemas.enums import NotificationKind, NotificationStatus, PledgeStatus
from service.db.models.campaign import Campaign
from service.db.models.email import Notification, status_is
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge, PledgeStatusChange
from service.db.models.reminder import Reminder
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter
from service.domain.notifications.queue import NotificationClaim
from service.domain.pledges.status import PledgeEvent
from service.domain.sign_in import LINK_TTL

NO_RECIPIENT = "nobody_known"
TOO_OLD = "too_old"
LINK_USED = "used"
NOT_PAST_DUE = "not_past_due"
ENDED = "ended"
DATE_PASSED = "date_passed"
ALREADY_SENT = "told_before"
# What is told so late helps nobody; and a row that was forgotten and then asked for again tells nothing twice.
MAX_AGE = datetime.timedelta(days=90)
# Two dates of one renewal, as the gateway and we work it out, are a few days apart at most.
RENEWAL_TOLERANCE = datetime.timedelta(days=30)
RECURRING_STATUSES = (PledgeStatus.ACTIVE, PledgeStatus.PAST_DUE)


@dataclass(frozen=True, kw_only=True)
class NotificationContext:
    """A claimed notice and all that its letter needs; `encrypted_email` is the stored address of its reader."""

    notification: Notification
    encrypted_email: bytes | None
    campaign: Campaign | None
    pledge: Pledge | None
    payment: Payment | None
    sign_in: SignIn | None
    is_unpaid: bool

    def today(self, now: datetime.datetime) -> datetime.date:
        """Return the date where the campaign is at home."""
        zone = "UTC" if self.campaign is None else self.campaign.timezone
        return now.astimezone(ZoneInfo(zone)).date()


def load_contexts(session: Session, held: Mapping[uuid.UUID, NotificationClaim]) -> list[NotificationContext]:
    """Return the notices that are still held, those who wait to sign in first, and hold their rows."""
    # Held before the notices, in the order in which deleting a reader comes to them.
    wishes = select(Notification.sign_in_id).where(Notification.id.in_(held))
    found = session.scalars(select(SignIn).where(SignIn.id.in_(wishes)).order_by(SignIn.id).with_for_update())
    sign_ins = {payload.id: payload for payload in found}
    # The address is read as it lies in the table, so that one that does not open cannot keep the others from it.
    rows = session.execute(
        select(Notification, Pledge, type_coerce(Supporter.email, LargeBinary), Supporter.id)
        .outerjoin(Pledge, Pledge.id == Notification.pledge_id)
        .outerjoin(Supporter, Supporter.id == func.coalesce(Notification.supporter_id, Pledge.supporter_id))
        .where(Notification.id.in_(held), status_is(NotificationStatus.SENDING))
        .order_by(Notification.sign_in_id.is_(None), Notification.due_at, Notification.id)
        .with_for_update(of=Notification)
        .execution_options(populate_existing=True)
    ).all()
    claimed = [row for row in rows if row.Notification.lease_number == held[row.Notification.id].lease_number]
    found_payments = session.scalars(
        select(Payment).where(Payment.id.in_([row.Notification.payment_id for row in claimed]))
    )
    payments = {payment.id: payment for payment in found_payments}
    campaign_ids: dict[uuid.UUID, uuid.UUID | None] = {
        row.Notification.id: _default_campaign_id(session, row.id)
        if row.Pledge is None
        else row.Pledge.campaign_id
        for row in claimed
        if row.id is not None or row.Pledge is not None
    }
    found_campaigns = session.scalars(select(Campaign).where(Campaign.id.in_(set(campaign_ids.values()))))
    campaigns: dict[uuid.UUID | None, Campaign] = {campaign.id: campaign for campaign in found_campaigns}
    unpaid = _cancelled_for_non_payment(
        session,
        {row.Pledge.id for row in claimed if row.Notification.kind == NotificationKind.CANCELLED and row.Pledge},
    )
    return [
        NotificationContext(
            notification=row.Notification,
            encrypted_email=row.email,
            campaign=campaigns.get(campaign_ids.get(row.Notification.id)),
            pledge=row.Pledge,
            payment=payments.get(row.Notification.payment_id),
            sign_in=sign_ins.get(row.Notification.sign_in_id),
            is_unpaid=row.Notification.pledge_id in unpaid,
        )
        for row in claimed
    ]


def skip_reason(session: Session, case: NotificationContext, *, now: datetime.datetime) -> str | None:
    """Return why this need not be told, or None if it is to be told."""
    notification, pledge = case.notification, case.pledge
    if case.encrypted_email is None:
        return NO_RECIPIENT
    match notification.kind:
        case NotificationKind.SIGN_IN:
            return _sign_in_skip_reason(case.sign_in, now)
        case NotificationKind.RECEIPT if case.payment is not None and case.payment.paid_at <= now - MAX_AGE:
            return TOO_OLD
        case NotificationKind.PAYMENT_FAILED if pledge is not None and pledge.status != PledgeStatus.PAST_DUE:
            return NOT_PAST_DUE
        case NotificationKind.CANCELLED if pledge is not None and (pledge.ended_at or now) <= now - MAX_AGE:
            return TOO_OLD
        case NotificationKind.RENEWAL if pledge is not None:
            return _renewal_skip_reason(session, case, pledge, now)
    return None


def _sign_in_skip_reason(sign_in: SignIn | None, now: datetime.datetime) -> str | None:
    if sign_in is None or sign_in.supporter_id is None:
        return NO_RECIPIENT
    if sign_in.asked_at <= now - LINK_TTL:
        return TOO_OLD
    return None if sign_in.used_at is None else LINK_USED


def _renewal_skip_reason(
    session: Session, case: NotificationContext, pledge: Pledge, now: datetime.datetime
) -> str | None:
    falls_on = case.notification.event_date
    if pledge.status not in RECURRING_STATUSES or pledge.cancel_requested_at is not None:
        return ENDED
    if falls_on is None:
        return None
    if falls_on < case.today(now):
        return DATE_PASSED
    told = select(Notification.id).where(
        Notification.pledge_id == pledge.id,
        Notification.kind == NotificationKind.RENEWAL,
        Notification.status.in_((NotificationStatus.SENDING, NotificationStatus.SENT)),
        Notification.event_date.between(falls_on - RENEWAL_TOLERANCE, falls_on + RENEWAL_TOLERANCE),
        Notification.id < case.notification.id,
    )
    return None if session.scalar(told.limit(1)) is None else ALREADY_SENT


def _default_campaign_id(session: Session, supporter_id: uuid.UUID) -> uuid.UUID | None:
    """Return the campaign of a reader's latest pledge, or of their reminder; else any, for its newsroom's name."""
    for query in (
        select(Pledge.campaign_id).where(Pledge.supporter_id == supporter_id).order_by(Pledge.id.desc()),
        select(Reminder.campaign_id).where(Reminder.supporter_id == supporter_id).order_by(Reminder.id.desc()),
        select(Campaign.id).order_by(Campaign.id),
    ):
        home = session.scalar(query.limit(1))
        if home is not None:
            return home
    return None


def _cancelled_for_non_payment(session: Session, pledges: set[uuid.UUID]) -> set[uuid.UUID]:
    """Return which of these pledges ended because their payments did not come, and not because somebody asked."""
    if not pledges:
        return set()
    return set(
        session.scalars(
            select(Pledge.id)
            .join(PledgeStatusChange, PledgeStatusChange.pledge_id == Pledge.id)
            .where(
                Pledge.id.in_(pledges),
                Pledge.cancel_requested_at.is_(None),
                PledgeStatusChange.event == PledgeEvent.CANCEL.value,
                PledgeStatusChange.from_status == PledgeStatus.PAST_DUE,
            )
        )
    )
