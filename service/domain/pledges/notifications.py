"""Enqueuing the emails about a pledge, in the transaction of the change that they report.

A pledge without a supporter gets none, because there is no address to send them to. Its receipts are enqueued
once its supporter is known.
"""

import datetime
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.db.base import new_id
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import FormerSubscription, Pledge
from service.db.models.supporter import Supporter
from service.domain.email.outbox import enqueue_email
from service.domain.pledges.renewals import ends_before, is_paused_at, renewal_email_at
from service.domain.ports.payment_events import PaymentActionRequired, PaymentFailed, RenewalUpcoming

MAX_DUNNING_EMAILS = 3
# Where staff set a long notice, the email before the end of a short pause does not come at once.
RESUMING_EMAIL_GAP = datetime.timedelta(days=7)


def enqueue_receipts(
    session: Session, pledge: Pledge, payments: Iterable[Payment], *, now: datetime.datetime
) -> None:
    """Enqueue a receipt for each payment.

    A reader who wants one receipt a year gets none for a renewal.
    """
    # Without the address, which not every process can decrypt.
    wants_yearly = session.scalar(select(Supporter.yearly_receipts).where(Supporter.id == pledge.supporter_id))
    for payment in payments:
        if wants_yearly and _is_renewal(session, pledge, payment):
            continue
        _enqueue(
            session,
            pledge,
            EmailKind.RECEIPT,
            str(payment.id),
            payment=payment,
            happened_at=payment.paid_at,
            now=now,
        )


def _is_renewal(session: Session, pledge: Pledge, payment: Payment) -> bool:
    """Whether a recurring pledge was paid before."""
    earlier = select(Payment.id).where(
        Payment.pledge_id == pledge.id,
        Payment.status != PaymentStatus.FAILED,
        Payment.paid_at < payment.paid_at,
    )
    return pledge.frequency != Frequency.ONCE and session.scalar(earlier.limit(1)) is not None


def enqueue_payment_failed(
    session: Session, pledge: Pledge, failed: PaymentFailed, *, now: datetime.datetime
) -> None:
    """Enqueue a failed-payment email, at most `MAX_DUNNING_EMAILS` for one invoice.

    A late event about a pledge that has been paid or has ended since enqueues none.
    """
    if pledge.status == PledgeStatus.PAST_DUE and failed.attempt <= MAX_DUNNING_EMAILS:
        dedup_key = f"{failed.invoice}#{failed.attempt}"
        _enqueue(
            session,
            pledge,
            EmailKind.PAYMENT_FAILED,
            dedup_key,
            event_at=failed.next_attempt_at,
            happened_at=failed.occurred_at,
            now=now,
        )


def enqueue_action_required(
    session: Session, pledge: Pledge, required: PaymentActionRequired, *, now: datetime.datetime
) -> None:
    """Enqueue the email that asks the reader to confirm a payment; for one attempt there is one email."""
    if pledge.status == PledgeStatus.PAST_DUE and required.attempt <= MAX_DUNNING_EMAILS:
        dedup_key = f"{required.invoice}#{required.attempt}"
        happened_at = required.occurred_at
        _enqueue(session, pledge, EmailKind.PAYMENT_FAILED, dedup_key, happened_at=happened_at, now=now)


def enqueue_payment_bounced(session: Session, pledge: Pledge, *, now: datetime.datetime) -> None:
    """Enqueue the email that the bank did not make the payment of a one-time pledge, once."""
    _enqueue(
        session,
        pledge,
        EmailKind.PAYMENT_FAILED,
        f"{pledge.id}#1",
        happened_at=pledge.payment_bounced_at,
        now=now,
    )


def enqueue_known_failure(session: Session, pledge: Pledge, *, now: datetime.datetime) -> None:
    """Enqueue the email about the last failed attempt, if that was reported before the pledge had a supporter."""
    if pledge.status != PledgeStatus.PAST_DUE:
        return
    failed = session.scalar(
        select(Payment)
        .where(Payment.pledge_id == pledge.id, Payment.status == PaymentStatus.FAILED)
        .order_by(Payment.paid_at.desc(), Payment.id.desc())
        .limit(1)
    )
    # The reference of an attempt to pay an invoice is what its email is known by: `in_1#2`.
    reference = "" if failed is None else failed.gateway_reference
    _, _, attempt = reference.rpartition("#")
    if failed is not None and attempt.isdecimal() and int(attempt) <= MAX_DUNNING_EMAILS:
        happened_at = failed.paid_at
        _enqueue(session, pledge, EmailKind.PAYMENT_FAILED, reference, happened_at=happened_at, now=now)


def enqueue_renewal(
    session: Session, pledge: Pledge, upcoming: RenewalUpcoming, *, now: datetime.datetime
) -> None:
    """Enqueue the announcement that an annual pledge is about to renew."""
    if ends_before(pledge, upcoming.renews_at) or is_paused_at(pledge, upcoming.renews_at):
        return
    if pledge.frequency == Frequency.ANNUAL and pledge.status == PledgeStatus.ACTIVE and upcoming.renews_at > now:
        renews_on = _local_date(pledge, upcoming.renews_at)
        dedup_key = f"{pledge.id}:{renews_on}"
        _enqueue(
            session,
            pledge,
            EmailKind.RENEWAL,
            dedup_key,
            event_at=upcoming.renews_at,
            happened_at=upcoming.occurred_at,
            due_at=max(renewal_email_at(pledge.campaign, renews_on), now),
            now=now,
        )


@contextmanager
def announcing_refunds(
    session: Session, pledge: Pledge, payment: Payment, *, now: datetime.datetime
) -> Iterator[None]:
    """Enqueue an email for each refund of the payment that succeeded within the block; the pledge is locked."""
    before = {refund.id for refund in _succeeded_refunds(session, payment)}
    yield
    for refund in _succeeded_refunds(session, payment):
        if refund.id not in before:
            _enqueue(
                session,
                pledge,
                EmailKind.REFUND,
                str(refund.id),
                payment=payment,
                happened_at=refund.created_at,
                now=now,
            )


def _succeeded_refunds(session: Session, payment: Payment) -> Sequence[Refund]:
    query = select(Refund).where(Refund.payment_id == payment.id, Refund.status == RefundStatus.SUCCEEDED)
    return session.scalars(query.order_by(Refund.id)).all()


def enqueue_cancellation(session: Session, pledge: Pledge, *, now: datetime.datetime) -> None:
    """Enqueue the email that the pledge is cancelled, once for each of its subscriptions."""
    former = select(func.count()).select_from(FormerSubscription).where(FormerSubscription.pledge_id == pledge.id)
    number = (session.scalar(former) or 0) + 1
    dedup_key = str(pledge.id) if number == 1 else f"{pledge.id}#{number}"
    ended_at = pledge.ended_at or now
    _enqueue(session, pledge, EmailKind.CANCELLED, dedup_key, event_at=ended_at, happened_at=ended_at, now=now)


def enqueue_change(session: Session, pledge: Pledge, *, now: datetime.datetime) -> None:
    """Enqueue the email that confirms another amount or frequency. It says what holds when it is sent."""
    _enqueue(session, pledge, EmailKind.CHANGED, str(new_id()), happened_at=now, now=now)


def enqueue_resumption(
    session: Session, pledge: Pledge, *, requested_at: datetime.datetime, now: datetime.datetime
) -> None:
    """Enqueue the email that confirms the end of a pause. It says what holds when it is sent."""
    dedup_key = f"{pledge.id}:{requested_at.timestamp():.0f}"
    _enqueue(session, pledge, EmailKind.RESUMED, dedup_key, happened_at=requested_at, now=now)


def enqueue_missed_pause(
    session: Session,
    pledge: Pledge,
    *,
    requested_at: datetime.datetime,
    payment_at: datetime.datetime,
    now: datetime.datetime,
) -> None:
    """Enqueue the email that a payment was due before the pause that should have skipped it."""
    _enqueue(
        session,
        pledge,
        EmailKind.PAUSE_MISSED,
        f"{pledge.id}:{requested_at.timestamp():.0f}",
        event_at=payment_at,
        happened_at=requested_at,
        now=now,
    )


def enqueue_pause(
    session: Session,
    pledge: Pledge,
    *,
    requested_at: datetime.datetime,
    next_payment_at: datetime.datetime,
    now: datetime.datetime,
) -> None:
    """Enqueue the email that confirms a pause, and the one before a monthly pledge is paid again.

    Of an annual payment there is an announcement anyway.
    """
    _enqueue(
        session,
        pledge,
        EmailKind.PAUSED,
        f"{pledge.id}:{requested_at.timestamp():.0f}",
        event_at=next_payment_at,
        happened_at=requested_at,
        now=now,
    )
    if pledge.frequency == Frequency.MONTHLY:
        next_on = _local_date(pledge, next_payment_at)
        send_at = max(renewal_email_at(pledge.campaign, next_on), now + RESUMING_EMAIL_GAP)
        _enqueue(
            session,
            pledge,
            EmailKind.RESUMING,
            f"{pledge.id}:{next_on}",
            event_at=next_payment_at,
            happened_at=send_at,
            due_at=send_at,
            now=now,
        )


def _enqueue(
    session: Session,
    pledge: Pledge,
    kind: EmailKind,
    dedup_key: str,
    *,
    now: datetime.datetime,
    payment: Payment | None = None,
    event_at: datetime.datetime | None = None,
    happened_at: datetime.datetime | None = None,
    due_at: datetime.datetime | None = None,
) -> None:
    if pledge.supporter_id is None:
        return
    enqueue_email(
        session,
        kind,
        dedup_key,
        lang=pledge.lang or pledge.campaign.lang,
        now=now,
        due_at=due_at,
        supporter_id=pledge.supporter_id,
        pledge_id=pledge.id,
        payment_id=None if payment is None else payment.id,
        event_date=None if event_at is None else _local_date(pledge, event_at),
        happened_at=happened_at,
    )


def _local_date(pledge: Pledge, at: datetime.datetime) -> datetime.date:
    return at.astimezone(ZoneInfo(pledge.campaign.timezone)).date()
