"""The mails that news about a pledge asks for: written down with the news, and sent by a job of their own."""

import datetime
from collections.abc import Iterable
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from schemas.enums import Frequency, NotificationKind, PledgeStatus
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.email.outbox import enqueue_notification
from service.domain.ports.payment_events import PaymentFailed, RenewalUpcoming

MAX_DUNNING_EMAILS = 3


def enqueue_receipts(
    session: Session, pledge: Pledge, payments: Iterable[Payment], *, now: datetime.datetime
) -> None:
    """Have the reader sent a receipt for each of these payments, as soon as it is known who that is."""
    if pledge.supporter_id is None:
        return
    for payment in payments:
        _enqueue(session, pledge, NotificationKind.RECEIPT, str(payment.id), payment=payment, now=now)


def enqueue_payment_failed(
    session: Session, pledge: Pledge, failed: PaymentFailed, *, now: datetime.datetime
) -> None:
    """Have the reader told that a payment did not come, three times for one bill at most.

    One that was paid meanwhile, or a pledge that ended, needs no such mail, however late its news comes.
    """
    if pledge.status == PledgeStatus.PAST_DUE and failed.attempt <= MAX_DUNNING_EMAILS:
        about = f"{failed.invoice}#{failed.attempt}"
        _enqueue(session, pledge, NotificationKind.PAYMENT_FAILED, about, falls_at=failed.next_attempt_at, now=now)


def enqueue_renewal(session: Session, pledge: Pledge, ahead: RenewalUpcoming, *, now: datetime.datetime) -> None:
    """Have the reader told that a year is over soon and the next will be paid."""
    if pledge.frequency == Frequency.ANNUAL and pledge.status == PledgeStatus.ACTIVE and ahead.renews_at > now:
        about = f"{pledge.id}:{_date(pledge, ahead.renews_at)}"
        _enqueue(session, pledge, NotificationKind.RENEWAL, about, falls_at=ahead.renews_at, now=now)


def enqueue_cancellation(session: Session, pledge: Pledge, *, now: datetime.datetime) -> None:
    """Have the reader told that no more money is taken."""
    _enqueue(session, pledge, NotificationKind.CANCELLED, str(pledge.id), falls_at=pledge.ended_at or now, now=now)


def _enqueue(
    session: Session,
    pledge: Pledge,
    kind: NotificationKind,
    about: str,
    *,
    now: datetime.datetime,
    payment: Payment | None = None,
    falls_at: datetime.datetime | None = None,
) -> None:
    if pledge.supporter_id is None:
        # Nobody is known who could be written to.
        return
    enqueue_notification(
        session,
        kind,
        about,
        lang=pledge.lang or pledge.campaign.lang,
        now=now,
        supporter_id=pledge.supporter_id,
        pledge_id=pledge.id,
        payment_id=None if payment is None else payment.id,
        event_date=None if falls_at is None else _date(pledge, falls_at),
    )


def _date(pledge: Pledge, at: datetime.datetime) -> datetime.date:
    return at.astimezone(ZoneInfo(pledge.campaign.timezone)).date()
