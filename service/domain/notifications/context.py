"""What a notification is about, loaded for a whole batch, and the reasons for skipping one."""

import datetime
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, LargeBinary, func, select, type_coerce
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, EmailStatus, Frequency, PledgeStatus, RefundStatus
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail, status_is
from service.db.models.email_change import EmailChange
from service.db.models.erasure import ErasureRequest
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge, PledgeStatusChange
from service.db.models.reminder import Reminder
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter
from service.domain.email.queue import EmailClaim
from service.domain.email_changes import LINK_TTL as EMAIL_CHANGE_LINK_TTL
from service.domain.erasure_requests import LINK_TTL as ERASURE_LINK_TTL
from service.domain.pledges.renewals import ends_before, is_paused_at, next_payment_at
from service.domain.pledges.status import RUNNING_STATUSES, PledgeEvent
from service.domain.sign_in import LINK_TTL

EMAIL_CHANGE_KINDS = (EmailKind.EMAIL_CHANGE, EmailKind.EMAIL_CHANGED)
NO_RECIPIENT = "nobody_known"
TOO_OLD = "too_old"
LINK_USED = "used"
NOT_PAST_DUE = "not_past_due"
ENDED = "ended"
# The gateway is set to end or pause the subscription; undoing that brings the notification back.
ENDING = "ending"
PAUSED = "paused"
WITHHELD_REASONS = (ENDING, PAUSED)
DATE_PASSED = "date_passed"
REFUND_FAILED = "refund_failed"
# The pause was ended or moved since.
PAUSE_CHANGED = "pause_changed"
ALREADY_SENT = "told_before"
SUPERSEDED = "superseded"
NOT_WANTED = "not_wanted"
# In the dedup key of a receipt that was asked for again, between the payment and the time.
AGAIN_MARK = "@"
# An older email is of no use. Rows are kept for longer than this, so an event that arrives again sends nothing
# twice.
MAX_AGE = datetime.timedelta(days=90)
# The gateway and we may date the same renewal a few days apart.
RENEWAL_TOLERANCE = datetime.timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class EmailChangeRequest:
    """A supporter's request for another address, with both addresses encrypted."""

    id: uuid.UUID
    requested_at: datetime.datetime
    confirmed_at: datetime.datetime | None
    undo_until: datetime.datetime | None
    encrypted_new: bytes
    encrypted_old: bytes | None


@dataclass(frozen=True, kw_only=True)
class NotificationContext:
    """A claimed notification and everything that its email needs; `encrypted_email` is the recipient's address."""

    notification: OutgoingEmail
    encrypted_email: bytes | None
    campaign: Campaign | None
    pledge: Pledge | None
    payment: Payment | None
    refund: Refund | None
    sign_in: SignIn | None
    email_change: EmailChangeRequest | None
    erasure_request: ErasureRequest | None
    is_unpaid: bool
    has_transfer_on_its_way: bool

    def today(self, now: datetime.datetime) -> datetime.date:
        """Return the date in the campaign's time zone."""
        zone = "UTC" if self.campaign is None else self.campaign.timezone
        return now.astimezone(ZoneInfo(zone)).date()


def load_contexts(session: Session, claims: Mapping[uuid.UUID, EmailClaim]) -> list[NotificationContext]:
    """Return the claimed notifications whose lease is still held, most urgent first, and lock their sign-ins."""
    # A sign-in is locked before its email, in the same order as when a supporter is deleted.
    sign_in_ids = select(OutgoingEmail.sign_in_id).where(OutgoingEmail.id.in_(claims))
    locked = session.scalars(
        select(SignIn).where(SignIn.id.in_(sign_in_ids)).order_by(SignIn.id).with_for_update()
    )
    sign_ins = {sign_in.id: sign_in for sign_in in locked}
    # The address is read undecrypted, so that one that cannot be decrypted does not fail the query for the batch.
    rows = session.execute(
        select(OutgoingEmail, Pledge, type_coerce(Supporter.email, LargeBinary), Supporter.id)
        .outerjoin(Pledge, Pledge.id == OutgoingEmail.pledge_id)
        .outerjoin(Supporter, Supporter.id == func.coalesce(OutgoingEmail.supporter_id, Pledge.supporter_id))
        .where(OutgoingEmail.id.in_(claims), status_is(EmailStatus.SENDING))
        .order_by(OutgoingEmail.priority, OutgoingEmail.due_at, OutgoingEmail.id)
        .execution_options(populate_existing=True)
    ).all()
    claimed = [row for row in rows if row.OutgoingEmail.lease_number == claims[row.OutgoingEmail.id].lease_number]
    found_payments = session.scalars(
        select(Payment).where(Payment.id.in_([row.OutgoingEmail.payment_id for row in claimed]))
    )
    payments = {payment.id: payment for payment in found_payments}
    refunds = _load_refunds(session, [row.OutgoingEmail for row in claimed])
    email_changes = _load_email_changes(session, [row.OutgoingEmail.email_change_id for row in claimed])
    found_requests = session.scalars(
        select(ErasureRequest).where(
            ErasureRequest.id.in_([row.OutgoingEmail.erasure_request_id for row in claimed])
        )
    )
    erasure_requests = {request.id: request for request in found_requests}
    campaign_ids: dict[uuid.UUID, uuid.UUID | None] = {
        row.OutgoingEmail.id: _default_campaign_id(session, row.id)
        if row.Pledge is None
        else row.Pledge.campaign_id
        for row in claimed
        if row.id is not None or row.Pledge is not None
    }
    found_campaigns = session.scalars(select(Campaign).where(Campaign.id.in_(set(campaign_ids.values()))))
    campaigns: dict[uuid.UUID | None, Campaign] = {campaign.id: campaign for campaign in found_campaigns}
    cancelled = {row.Pledge.id for row in claimed if row.OutgoingEmail.kind == EmailKind.CANCELLED and row.Pledge}
    unpaid = _cancelled_from(session, cancelled, PledgeStatus.PAST_DUE, Pledge.cancel_requested_at.is_(None))
    on_their_way = _cancelled_from(session, cancelled, PledgeStatus.PROCESSING)
    return [
        NotificationContext(
            notification=row.OutgoingEmail,
            encrypted_email=_recipient(row.OutgoingEmail, row.email, email_changes),
            campaign=campaigns.get(campaign_ids.get(row.OutgoingEmail.id)),
            pledge=row.Pledge,
            payment=payments.get(row.OutgoingEmail.payment_id),
            refund=refunds.get(row.OutgoingEmail.dedup_key),
            sign_in=sign_ins.get(row.OutgoingEmail.sign_in_id),
            email_change=email_changes.get(row.OutgoingEmail.email_change_id),
            erasure_request=erasure_requests.get(row.OutgoingEmail.erasure_request_id),
            is_unpaid=row.OutgoingEmail.pledge_id in unpaid,
            has_transfer_on_its_way=row.OutgoingEmail.pledge_id in on_their_way,
        )
        for row in claimed
    ]


def skip_reason(session: Session, context: NotificationContext, *, now: datetime.datetime) -> str | None:
    """Return why a notification is not to be sent, or None if it is."""
    notification, pledge = context.notification, context.pledge
    if context.encrypted_email is None:
        return NO_RECIPIENT
    match notification.kind:
        case EmailKind.SIGN_IN:
            return _sign_in_skip_reason(context.sign_in, now)
        case EmailKind.EMAIL_CHANGE:
            return _email_change_skip_reason(context.email_change, now)
        case EmailKind.ERASURE:
            return _erasure_skip_reason(context.erasure_request, now)
        case EmailKind.RECEIPT if context.payment is not None and context.payment.paid_at <= now - MAX_AGE:
            return None if AGAIN_MARK in notification.dedup_key else TOO_OLD
        case EmailKind.PAYMENT_FAILED if pledge is not None:
            # A one-time pledge whose payment bounced is expired, unless another payment was made since.
            is_once = pledge.frequency == Frequency.ONCE
            unpaid = PledgeStatus.EXPIRED if is_once else PledgeStatus.PAST_DUE
            if pledge.status != unpaid:
                return NOT_PAST_DUE
            if pledge.cancel_at is not None:
                return ENDING
            return PAUSED if is_paused_at(pledge, now) else None
        case EmailKind.CANCELLED if pledge is not None and (pledge.ended_at or now) <= now - MAX_AGE:
            return TOO_OLD
        case EmailKind.REFUND:
            return _refund_skip_reason(context.refund, now)
        case EmailKind.MONTHLY_YEARLY if pledge is not None and next_payment_at(pledge, now=now) is None:
            return ENDED
        case EmailKind.YEARLY_RECEIPT if not _wants_yearly_receipts(session, notification.supporter_id):
            return NOT_WANTED
        case EmailKind.CHANGED | EmailKind.RESUMED if pledge is not None:
            return _change_skip_reason(session, notification, pledge, now)
        case EmailKind.PAUSED | EmailKind.RESUMING if pledge is not None:
            return _pause_skip_reason(context, pledge, now)
        case EmailKind.RENEWAL if pledge is not None:
            return _renewal_skip_reason(session, context, pledge, now)
    return None


def _wants_yearly_receipts(session: Session, supporter_id: uuid.UUID | None) -> bool:
    return session.scalar(select(Supporter.yearly_receipts).where(Supporter.id == supporter_id)) or False


def _load_refunds(session: Session, notifications: Collection[OutgoingEmail]) -> dict[str, Refund]:
    """Return the refunds that these emails are about, by the emails' `dedup_key`, which is the refund's id."""
    keys = [email.dedup_key for email in notifications if email.kind == EmailKind.REFUND]
    found = session.scalars(select(Refund).where(Refund.id.in_([uuid.UUID(key) for key in keys])))
    return {str(refund.id): refund for refund in found}


def _load_email_changes(
    session: Session, change_ids: Collection[uuid.UUID | None]
) -> dict[uuid.UUID | None, EmailChangeRequest]:
    query = select(
        EmailChange.id,
        EmailChange.requested_at,
        EmailChange.confirmed_at,
        EmailChange.undo_until,
        type_coerce(EmailChange.new_email, LargeBinary).label("encrypted_new"),
        type_coerce(EmailChange.old_email, LargeBinary).label("encrypted_old"),
    ).where(EmailChange.id.in_([change_id for change_id in change_ids if change_id is not None]))
    return {row.id: EmailChangeRequest(**row._mapping) for row in session.execute(query)}


def _recipient(
    notification: OutgoingEmail,
    supporters_email: bytes | None,
    email_changes: Mapping[uuid.UUID | None, EmailChangeRequest],
) -> bytes | None:
    """Return the encrypted address; of a change, the new one confirms it, and the old one is told of it."""
    if notification.kind not in EMAIL_CHANGE_KINDS:
        return supporters_email
    change = email_changes.get(notification.email_change_id)
    if change is None or supporters_email is None:
        return None
    return change.encrypted_new if notification.kind == EmailKind.EMAIL_CHANGE else change.encrypted_old


def _email_change_skip_reason(change: EmailChangeRequest | None, now: datetime.datetime) -> str | None:
    if change is None:
        return NO_RECIPIENT
    if change.requested_at <= now - EMAIL_CHANGE_LINK_TTL:
        return TOO_OLD
    return None if change.confirmed_at is None else LINK_USED


def _erasure_skip_reason(asked: ErasureRequest | None, now: datetime.datetime) -> str | None:
    if asked is None:
        return NO_RECIPIENT
    return TOO_OLD if asked.requested_at <= now - ERASURE_LINK_TTL else None


def _sign_in_skip_reason(sign_in: SignIn | None, now: datetime.datetime) -> str | None:
    if sign_in is None or sign_in.supporter_id is None:
        return NO_RECIPIENT
    if sign_in.asked_at <= now - LINK_TTL:
        return TOO_OLD
    return None if sign_in.used_at is None else LINK_USED


def _refund_skip_reason(refund: Refund | None, now: datetime.datetime) -> str | None:
    # The bank may return the money of a refund that had succeeded.
    if refund is None or refund.status != RefundStatus.SUCCEEDED:
        return REFUND_FAILED
    return TOO_OLD if refund.created_at <= now - MAX_AGE else None


def _change_skip_reason(
    session: Session, notification: OutgoingEmail, pledge: Pledge, now: datetime.datetime
) -> str | None:
    """Of several changes, the last email says what holds after all of them."""
    if pledge.status not in RUNNING_STATUSES or pledge.cancel_requested_at is not None:
        return ENDED
    if notification.kind == EmailKind.RESUMED:
        return PAUSE_CHANGED if is_paused_at(pledge, now) else None
    later = select(OutgoingEmail.id).where(
        OutgoingEmail.pledge_id == pledge.id,
        OutgoingEmail.kind == EmailKind.CHANGED,
        OutgoingEmail.id > notification.id,
    )
    return None if session.scalar(later.limit(1)) is None else SUPERSEDED


def _pause_skip_reason(context: NotificationContext, pledge: Pledge, now: datetime.datetime) -> str | None:
    if pledge.status not in RUNNING_STATUSES or pledge.cancel_requested_at is not None:
        return ENDED
    event_date = context.notification.event_date
    if event_date is not None and event_date < context.today(now):
        return DATE_PASSED
    next_at = next_payment_at(pledge, now=now)
    zone = ZoneInfo(pledge.campaign.timezone)
    is_same = next_at is not None and next_at.astimezone(zone).date() == event_date
    return None if is_same else PAUSE_CHANGED


def _renewal_skip_reason(
    session: Session, context: NotificationContext, pledge: Pledge, now: datetime.datetime
) -> str | None:
    event_date = context.notification.event_date
    if pledge.status not in RUNNING_STATUSES or pledge.cancel_requested_at is not None:
        return ENDED
    renews_at = pledge.renews_at or now
    if ends_before(pledge, renews_at):
        return ENDING
    if is_paused_at(pledge, renews_at):
        return PAUSED
    if event_date is None:
        return None
    if event_date < context.today(now):
        return DATE_PASSED
    earlier = select(OutgoingEmail.id).where(
        OutgoingEmail.pledge_id == pledge.id,
        OutgoingEmail.kind == EmailKind.RENEWAL,
        OutgoingEmail.status.in_((EmailStatus.SENDING, EmailStatus.SENT)),
        OutgoingEmail.event_date.between(event_date - RENEWAL_TOLERANCE, event_date + RENEWAL_TOLERANCE),
        OutgoingEmail.id < context.notification.id,
    )
    return None if session.scalar(earlier.limit(1)) is None else ALREADY_SENT


def _default_campaign_id(session: Session, supporter_id: uuid.UUID) -> uuid.UUID | None:
    """Return the campaign of the latest pledge or reminder, else any campaign, for the newsroom's name."""
    for query in (
        select(Pledge.campaign_id).where(Pledge.supporter_id == supporter_id).order_by(Pledge.id.desc()),
        select(Reminder.campaign_id).where(Reminder.supporter_id == supporter_id).order_by(Reminder.id.desc()),
        select(Campaign.id).order_by(Campaign.id),
    ):
        campaign_id = session.scalar(query.limit(1))
        if campaign_id is not None:
            return campaign_id
    return None


def _cancelled_from(
    session: Session, pledge_ids: set[uuid.UUID], status: PledgeStatus, *conditions: ColumnElement[bool]
) -> set[uuid.UUID]:
    """Return which of these pledges were cancelled from a status.

    A past due pledge that nobody asked to cancel ended because payments failed. One that was processing may still
    be paid by the transfer that was on its way.
    """
    if not pledge_ids:
        return set()
    return set(
        session.scalars(
            select(Pledge.id)
            .join(PledgeStatusChange, PledgeStatusChange.pledge_id == Pledge.id)
            .where(
                Pledge.id.in_(pledge_ids),
                PledgeStatusChange.event == PledgeEvent.CANCEL.value,
                PledgeStatusChange.from_status == status,
                *conditions,
            )
        )
    )
