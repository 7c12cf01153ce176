"""What a notice is about, read for many at once, and whether it need not be told after all."""

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import LargeBinary, func, select, type_coerce
from sqlalchemy.orm import Session

from schemas.vocabulary import NotificationKind, NotificationStatus, PledgeStatus
from service.db.campaign import Campaign
from service.db.notice import Notice, stands
from service.db.payment import Payment
from service.db.pledge import Pledge, PledgeStatusChange
from service.db.reminder import Reminder
from service.db.sign_in import SignIn
from service.db.supporter import Supporter
from service.domain.notice_mail.claims import NoticeClaim
from service.domain.pledges.status import PledgeEvent
from service.domain.sign_in.links import GOOD_FOR

NOBODY_KNOWN = "nobody_known"
TOO_OLD = "too_old"
USED = "used"
NOT_PAST_DUE = "not_past_due"
ENDED = "ended"
DATE_PASSED = "date_passed"
TOLD_BEFORE = "told_before"
# What is told so late helps nobody; and a row that was forgotten and then asked for again tells nothing twice.
TELLABLE_FOR = datetime.timedelta(days=90)
# Two dates of one renewal, as the gateway and we work it out, are a few days apart at most.
SAME_RENEWAL = datetime.timedelta(days=30)
RECURRING = (PledgeStatus.ACTIVE, PledgeStatus.PAST_DUE)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A claimed notice and all that its letter needs; `closed` is the stored address of its reader."""

    notice: Notice
    closed: bytes | None
    campaign: Campaign | None
    pledge: Pledge | None
    payment: Payment | None
    sign_in: SignIn | None
    is_unpaid: bool

    def today(self, now: datetime.datetime) -> datetime.date:
        """Return the date where the campaign is at home."""
        zone = "UTC" if self.campaign is None else self.campaign.timezone
        return now.astimezone(ZoneInfo(zone)).date()


def read_cases(session: Session, held: Mapping[uuid.UUID, NoticeClaim]) -> list[Case]:
    """Return the notices that are still held, those who wait to sign in first, and hold their rows."""
    # Held before the notices, in the order in which deleting a reader comes to them.
    wishes = select(Notice.sign_in_id).where(Notice.id.in_(held))
    found = session.scalars(select(SignIn).where(SignIn.id.in_(wishes)).order_by(SignIn.id).with_for_update())
    sign_ins = {payload.id: payload for payload in found}
    # The address is read as it lies in the table, so that one that does not open cannot keep the others from it.
    rows = session.execute(
        select(Notice, Pledge, type_coerce(Supporter.email, LargeBinary), Supporter.id)
        .outerjoin(Pledge, Pledge.id == Notice.pledge_id)
        .outerjoin(Supporter, Supporter.id == func.coalesce(Notice.supporter_id, Pledge.supporter_id))
        .where(Notice.id.in_(held), stands(NotificationStatus.SENDING))
        .order_by(Notice.sign_in_id.is_(None), Notice.due_at, Notice.id)
        .with_for_update(of=Notice)
        .execution_options(populate_existing=True)
    ).all()
    mine = [row for row in rows if row.Notice.lease_number == held[row.Notice.id].lease_number]
    found_payments = session.scalars(
        select(Payment).where(Payment.id.in_([row.Notice.payment_id for row in mine]))
    )
    payments = {payment.id: payment for payment in found_payments}
    homes: dict[uuid.UUID, uuid.UUID | None] = {
        row.Notice.id: _home_of_reader(session, row.id) if row.Pledge is None else row.Pledge.campaign_id
        for row in mine
        if row.id is not None or row.Pledge is not None
    }
    found_campaigns = session.scalars(select(Campaign).where(Campaign.id.in_(set(homes.values()))))
    campaigns: dict[uuid.UUID | None, Campaign] = {campaign.id: campaign for campaign in found_campaigns}
    unpaid = _ended_unpaid(
        session, {row.Pledge.id for row in mine if row.Notice.kind == NotificationKind.CANCELLED and row.Pledge}
    )
    return [
        Case(
            notice=row.Notice,
            closed=row.email,
            campaign=campaigns.get(homes.get(row.Notice.id)),
            pledge=row.Pledge,
            payment=payments.get(row.Notice.payment_id),
            sign_in=sign_ins.get(row.Notice.sign_in_id),
            is_unpaid=row.Notice.pledge_id in unpaid,
        )
        for row in mine
    ]


def why_not(session: Session, case: Case, *, now: datetime.datetime) -> str | None:
    """Return why this need not be told, or None if it is to be told."""
    notice, pledge = case.notice, case.pledge
    if case.closed is None:
        return NOBODY_KNOWN
    match notice.kind:
        case NotificationKind.SIGN_IN:
            return _why_no_link(case.sign_in, now)
        case NotificationKind.RECEIPT if case.payment is not None and case.payment.paid_at <= now - TELLABLE_FOR:
            return TOO_OLD
        case NotificationKind.PAYMENT_FAILED if pledge is not None and pledge.status != PledgeStatus.PAST_DUE:
            return NOT_PAST_DUE
        case NotificationKind.CANCELLED if pledge is not None and (pledge.ended_at or now) <= now - TELLABLE_FOR:
            return TOO_OLD
        case NotificationKind.RENEWAL if pledge is not None:
            return _why_no_renewal(session, case, pledge, now)
    return None


def _why_no_link(sign_in: SignIn | None, now: datetime.datetime) -> str | None:
    if sign_in is None or sign_in.supporter_id is None:
        return NOBODY_KNOWN
    if sign_in.asked_at <= now - GOOD_FOR:
        return TOO_OLD
    return None if sign_in.used_at is None else USED


def _why_no_renewal(session: Session, case: Case, pledge: Pledge, now: datetime.datetime) -> str | None:
    falls_on = case.notice.falls_on
    if pledge.status not in RECURRING or pledge.cancel_requested_at is not None:
        return ENDED
    if falls_on is None:
        return None
    if falls_on < case.today(now):
        return DATE_PASSED
    told = select(Notice.id).where(
        Notice.pledge_id == pledge.id,
        Notice.kind == NotificationKind.RENEWAL,
        Notice.status.in_((NotificationStatus.SENDING, NotificationStatus.SENT)),
        Notice.falls_on.between(falls_on - SAME_RENEWAL, falls_on + SAME_RENEWAL),
        Notice.id < case.notice.id,
    )
    return None if session.scalar(told.limit(1)) is None else TOLD_BEFORE


def _home_of_reader(session: Session, supporter_id: uuid.UUID) -> uuid.UUID | None:
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


def _ended_unpaid(session: Session, pledges: set[uuid.UUID]) -> set[uuid.UUID]:
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
