"""Pausing a recurring pledge: skipping its next payments, and ending a pause.

The gateway voids the invoices of a pause and keeps the days of payment. A request is recorded before the gateway
is called, and its outcome afterwards. After a crash in between, the same call, or the reconciler, completes it. No
transaction is open during a call to the gateway.
"""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import Frequency, PaymentStatus
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.errors import ChangeNotPossible, PaymentRequestRejected, PaymentsRescheduled
from service.domain.pledges.notifications import enqueue_missed_pause, enqueue_pause, enqueue_resumption
from service.domain.pledges.pledges import get_pledge
from service.domain.pledges.renewals import (
    OBSTACLES,
    Obstacle,
    is_paused_at,
    missed_payment_at,
    next_payment_at,
    pause_ends_at,
    payment_after,
    schedule_obstacle,
    scheduled_payment_at,
)
from service.domain.pledges.subscriptions import (
    lock_recurring_pledge,
    require_frequency,
    require_same_gateway,
    subscription_reference,
    translate_gateway_errors,
)
from service.domain.ports import Clock, PaymentGateway, TransactionFactory

# How many payments can be skipped: up to six months, or one year.
MAX_SKIPPED = {Frequency.MONTHLY: 6, Frequency.ANNUAL: 1}
# A pause ends this long before the first payment after it, well after the last one that it skips. So neither some
# hours at the gateway nor a wrongly expected day of the month change how many payments it skips.
RESUME_LEAD = datetime.timedelta(days=5)


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A pause that a reader may choose: the payments skipped, the first of them, and the first one taken after."""

    payments: int
    first_skipped_at: datetime.datetime
    next_payment_at: datetime.datetime
    resumes_at: datetime.datetime


def pause_obstacle(pledge: Pledge, *, now: datetime.datetime) -> Obstacle | None:
    """Return why an active recurring pledge cannot be paused now, or None if it can."""
    if pledge.pending_frequency is not None:
        return Obstacle.PENDING
    if is_paused_at(pledge, now) and pause_ends_at(pledge) is None:
        return Obstacle.PAUSED
    return schedule_obstacle(pledge, now=now)


def possible_pauses(pledge: Pledge, *, now: datetime.datetime) -> list[Pause]:
    """Return the pauses that a reader may choose; none if something stands against them."""
    first = scheduled_payment_at(pledge, now=now)
    if first is None or pause_obstacle(pledge, now=now) is not None:
        return []
    payments = range(1, MAX_SKIPPED[pledge.frequency] + 1)
    return [_pause(pledge, first, skipped) for skipped in payments]


def is_pausable(pledge: Pledge, *, now: datetime.datetime) -> bool:
    """Whether a reader is offered a pause: payments are expected, and none is paused yet."""
    return bool(possible_pauses(pledge, now=now)) and not is_paused_at(pledge, now)


def _pause(pledge: Pledge, first: datetime.datetime, payments: int) -> Pause:
    next_at = payment_after(pledge, first, payments)
    return Pause(
        payments=payments, first_skipped_at=first, next_payment_at=next_at, resumes_at=next_at - RESUME_LEAD
    )


def pause_payments(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    pledge_id: uuid.UUID,
    payments: int,
    *,
    first_skipped_at: datetime.datetime,
    frequency: Frequency | None = None,
    clock: Clock,
) -> Pledge:
    """Skip a number of payments, of which the reader was told the first and how often they are made.

    A pause that is set already stays.

    Raises:
        PledgeNotFound: no pledge has this id.
        InvalidTransition: the pledge is not charged again.
        ChangeNotPossible: it cannot be paused now, or not for so long.
        PaymentsRescheduled: the next payment is on another day, or they are made more or less often.
        GatewayMismatch: the pledge was made with another gateway.
        PaymentsUnavailable: the request is recorded, and the reconciler completes it.
        PaymentRequestRejected: the gateway refuses; nothing has changed.
    """
    with transaction() as session:
        now = clock()
        pledge = lock_recurring_pledge(session, gateway, pledge_id)
        obstacle = pause_obstacle(pledge, now=now)
        if obstacle is not None:
            raise ChangeNotPossible(OBSTACLES[obstacle])
        require_frequency(pledge, frequency)
        pauses = {pause.payments: pause for pause in possible_pauses(pledge, now=now)}
        if payments not in pauses:
            raise ChangeNotPossible(f"Between 1 and {max(pauses)} payments can be skipped.")
        if pauses[payments].first_skipped_at != first_skipped_at:
            raise PaymentsRescheduled("The day of the next payment has changed.")
        resumes_at = pauses[payments].resumes_at
        if pledge.pause_requested_at is None and pledge.is_paused and pledge.resumes_at == resumes_at:
            return pledge
        subscription_reference(pledge)
        if pledge.pause_requested_at is None or pledge.pending_resumes_at != resumes_at:
            pledge.pause_requested_at, pledge.pending_resumes_at = now, resumes_at
    return complete_pause(transaction, gateway, pledge_id, clock=clock)


def end_pause(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID, *, clock: Clock
) -> Pledge:
    """Take payments again from the next scheduled one on; a pledge that is not paused stays as it is.

    Raises:
        PledgeNotFound: no pledge has this id.
        InvalidTransition: the pledge is not charged again.
        GatewayMismatch, PaymentsUnavailable, PaymentRequestRejected: as `pause_payments`.
    """
    with transaction() as session:
        now = clock()
        pledge = lock_recurring_pledge(session, gateway, pledge_id)
        subscription_reference(pledge)
        if is_paused_at(pledge, now):
            pledge.pause_requested_at, pledge.pending_resumes_at = now, None
    return complete_pause(transaction, gateway, pledge_id, clock=clock)


def complete_pause(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID, *, clock: Clock
) -> Pledge:
    """Send the requested pause of a pledge, or its end, to the gateway; a pledge without one stays as it is.

    Raises:
        PledgeNotFound: no pledge has this id.
        GatewayMismatch, PaymentsUnavailable, PaymentRequestRejected: as `pause_payments`.
    """
    with transaction() as session:
        pledge = get_pledge(session, pledge_id)
        requested_at, resumes_at = pledge.pause_requested_at, pledge.pending_resumes_at
        if requested_at is None:
            return pledge
        require_same_gateway(pledge, gateway)
        subscription = subscription_reference(pledge)
        is_pause = _skips_a_payment(pledge, now=clock())
        missed_at = missed_payment_at(pledge, _paid_at(session, pledge), now=clock())
    until = f"{resumes_at.timestamp():.0f}" if resumes_at is not None and is_pause else "end"
    try:
        with translate_gateway_errors():
            gateway.set_pause(
                subscription,
                resumes_at=resumes_at if is_pause else None,
                key=f"{pledge_id}/{requested_at.timestamp():.6f}/{until}",
            )
    except PaymentRequestRejected:
        with transaction() as session:
            pledge = get_pledge(session, pledge_id, for_update=True)
            if pledge.pause_requested_at == requested_at:
                pledge.pause_requested_at = pledge.pending_resumes_at = None
        raise
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        # A concurrent request sends itself.
        if pledge.pause_requested_at == requested_at:
            was_paused, now = pledge.is_paused, clock()
            pledge.is_paused, pledge.resumes_at = is_pause, resumes_at if is_pause else None
            pledge.pause_requested_at = pledge.pending_resumes_at = None
            next_at = next_payment_at(pledge, now=now)
            if missed_at is not None:
                enqueue_missed_pause(session, pledge, requested_at=requested_at, payment_at=missed_at, now=now)
            if is_pause and next_at is not None:
                enqueue_pause(session, pledge, requested_at=requested_at, next_payment_at=next_at, now=now)
            elif resumes_at is None and was_paused:
                enqueue_resumption(session, pledge, requested_at=requested_at, now=now)
    return pledge


def _skips_a_payment(pledge: Pledge, *, now: datetime.datetime) -> bool:
    """Whether a requested pause still skips one: the gateway may have been away until the last one was due."""
    resumes_at, due_at = pledge.pending_resumes_at, scheduled_payment_at(pledge, now=now)
    if resumes_at is None or resumes_at <= now:
        return False
    if due_at is not None and due_at <= now:
        due_at = payment_after(pledge, due_at, 1)
    return due_at is None or due_at < resumes_at


def _paid_at(session: Session, pledge: Pledge) -> Sequence[datetime.datetime]:
    query = select(Payment.paid_at).where(Payment.pledge_id == pledge.id, Payment.status != PaymentStatus.FAILED)
    return session.scalars(query).all()
