"""Processing stored gateway events: parse one, apply it, and record the result.

No failure loses an event. Storing it is all that the gateway waits for, so an error here never makes the gateway
give up. A failed event is retried with backoff or parked (set aside for an operator, like a dead letter).
"""

import datetime
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from schemas.enums import EventStatus
from service.db.keyring import DecryptionError, UnknownKey
from service.db.models.payment import GatewayEvent
from service.db.models.pledge import Pledge
from service.db.types import equals_literal
from service.domain.email.queue import NEXT_KEY_WAIT
from service.domain.errors import DomainError, PaymentsUnavailable
from service.domain.event_addresses import delete_hashes, redact_events
from service.domain.payments.event_handlers import (
    FORMER_UNKNOWN_PAYMENT,
    UNKNOWN_CUSTOMER,
    UNKNOWN_PAYMENT,
    UNKNOWN_SUBSCRIPTION,
    UNKNOWN_SUPPORTER,
    DependencyMissing,
    handle_event,
    mark_erased,
)
from service.domain.payments.inbox import (
    VISIBILITY_TIMEOUT,
    backoff,
    claim_events,
    get_event,
    lock_event,
    reset_event,
)
from service.domain.payments.known_pledges import RecordedPledges
from service.domain.payments.parked import enqueue_parked_alert
from service.domain.pledges.subscription_reports import OTHER_SUBSCRIPTION, SubscriptionOrderUnknown
from service.domain.ports import (
    Clock,
    EventSource,
    GatewayUnavailable,
    InvalidEvent,
    KnownPledges,
    OwnerUnknown,
    TransactionFactory,
)
from service.domain.ports.payment_events import PaymentEvent, SubscriptionUpdated

BATCH_SIZE = 20
MAX_DEPENDENCY_RETRIES = 12
MAX_ERROR_RETRIES = 5
# Reasons for parking an event that another event may resolve.
RESOLVABLE_REASONS = (
    UNKNOWN_SUBSCRIPTION,
    OTHER_SUBSCRIPTION,
    UNKNOWN_PAYMENT,
    FORMER_UNKNOWN_PAYMENT,
    UNKNOWN_CUSTOMER,
    UNKNOWN_SUPPORTER,
)
# An event that names nothing known here waits for an earlier event that may. Then it is ignored, unless the
# gateway knows better. The payload of another product is kept for as long.
OWNER_WAITS = (datetime.timedelta(seconds=5), datetime.timedelta(seconds=150))
# A batch is left before its claim times out, so that two workers do not process the rest of it.
BATCH_TIME_LIMIT = VISIBILITY_TIMEOUT * 3 / 4

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class ProcessingResult:
    """The result of processing an event: its new status, the reason, its pledge, and when to retry it."""

    status: EventStatus
    reason: str | None = None
    pledge_id: uuid.UUID | None = None
    retry_in: datetime.timedelta | None = None


def process_pending_events(
    transaction: TransactionFactory,
    source: EventSource,
    *,
    clock: Clock,
    should_continue: Callable[[], bool] = lambda: True,
) -> Counter[str]:
    """Process due events until none is left; return the number of events by resulting status.

    An event that needs a lookup while the gateway is unavailable is counted as `put_off`. That costs it no
    attempt, and the others continue.
    """
    counts: Counter[str] = Counter()
    known = RecordedPledges(transaction, source.name)
    while should_continue():
        started_at = clock()
        with transaction() as session:
            event_ids = claim_events(session, source.name, now=started_at, limit=BATCH_SIZE)
        for event_id in event_ids:
            if not should_continue() or clock() - started_at > BATCH_TIME_LIMIT:
                break
            try:
                status = process_event(transaction, source, event_id, clock=clock, known=known)
            except GatewayUnavailable:
                counts["put_off"] += 1
                continue
            if status is not None:
                counts[status.value] += 1
        if not event_ids:
            break
    return counts


def process_event(
    transaction: TransactionFactory,
    source: EventSource,
    event_id: uuid.UUID,
    *,
    clock: Clock,
    known: KnownPledges,
) -> EventStatus | None:
    """Process one event and record the result; None if another worker has done so in the meantime.

    Raises:
        GatewayUnavailable: the event needs the gateway, which is unavailable.
    """
    try:
        parsed, redacted_at = _parse(transaction, source, event_id, known)
    except GatewayUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - an error in one event must not stop the others
        return _record_failure(transaction, event_id, error, clock=clock)
    if parsed is None:
        return None
    try:
        try:
            return _apply(transaction, source, event_id, parsed, redacted_at=redacted_at, clock=clock)
        except SubscriptionOrderUnknown:
            # No transaction is open during the look-up.
            parsed = look_up_subscriptions(source, parsed)
            return _apply(transaction, source, event_id, parsed, redacted_at=redacted_at, clock=clock)
    except (OperationalError, GatewayUnavailable):
        # The database is down, or it cancelled this transaction to break a deadlock. The event becomes due again.
        raise
    except Exception as error:  # noqa: BLE001 - as above
        return _record_failure(transaction, event_id, error, parsed=parsed, clock=clock)


def look_up_subscriptions(source: EventSource, parsed: list[PaymentEvent]) -> list[PaymentEvent]:
    """Return the events with each state of a subscription replaced by the present one.

    A subscription that the gateway does not know any more keeps the state of its event.

    Raises:
        GatewayUnavailable: try again later.
    """
    current: list[PaymentEvent] = []
    for item in parsed:
        if isinstance(item, SubscriptionUpdated):
            found = source.get_subscription(item.subscription, occurred_at=item.occurred_at)
            item = replace(found or item, pledge_id=item.pledge_id, is_current=True)
        current.append(item)
    return current


def _apply(
    transaction: TransactionFactory,
    source: EventSource,
    event_id: uuid.UUID,
    parsed: list[PaymentEvent],
    *,
    redacted_at: datetime.datetime | None,
    clock: Clock,
) -> EventStatus | None:
    with transaction() as session:
        event = lock_event(session, event_id)
        if event is None or event.redacted_at != redacted_at:
            # An erasure has redacted the event since it was read. It becomes due again.
            return None
        pledge_ids = {handle_event(session, source.name, item, now=clock()) for item in parsed}
        if not parsed:
            return _save_result(session, event, ProcessingResult(status=EventStatus.IGNORED), now=clock())
        return record_applied(session, event, pledge_ids, now=clock())


def record_applied(
    session: Session, event: GatewayEvent, pledge_ids: Collection[uuid.UUID], *, now: datetime.datetime
) -> EventStatus:
    """Record that an event was applied to pledges; the payload of an erased one is deleted."""
    if event.redacted_at is not None:
        _mark_erased(session, pledge_ids, now=now)
    result = ProcessingResult(status=EventStatus.APPLIED, pledge_id=next(iter(pledge_ids), None))
    return _save_result(session, event, result, now=now)


def make_resolvable_events_due(session: Session, gateway: str, *, now: datetime.datetime) -> int:
    """Make parked events due that another event may have resolved since; return how many.

    One that is not resolved is parked again at once, without another alert.
    """
    parked = (
        select(GatewayEvent.id)
        .where(
            GatewayEvent.gateway == gateway,
            equals_literal(GatewayEvent.status, EventStatus.PARKED),
            GatewayEvent.reason.in_(RESOLVABLE_REASONS),
            GatewayEvent.payload.is_not(None),
        )
        .with_for_update(skip_locked=True)
    )
    event_ids = session.scalars(parked).all()
    session.execute(
        update(GatewayEvent)
        .where(GatewayEvent.id.in_(event_ids))
        .values(status=EventStatus.RECEIVED, attempts=MAX_DEPENDENCY_RETRIES, next_attempt_at=now)
        .execution_options(synchronize_session=False)
    )
    return len(event_ids)


def retry_event(
    transaction: TransactionFactory, source: EventSource, event_id: uuid.UUID, *, clock: Clock
) -> GatewayEvent:
    """Process a parked, ignored or waiting event at once; return it with its new status.

    Raises:
        EventNotFound, InvalidTransition: as `reset_event`.
        PaymentsUnavailable: parsing it needs the gateway, which is unavailable; the event is retried later.
    """
    with transaction() as session:
        reset_event(session, event_id, now=clock())
    try:
        known = RecordedPledges(transaction, source.name)
        process_event(transaction, source, event_id, clock=clock, known=known)
    except GatewayUnavailable as error:
        raise PaymentsUnavailable(
            "The payment provider isn't responding right now; the event will be tried again automatically.",
            retry_after_seconds=int(VISIBILITY_TIMEOUT.total_seconds()),
        ) from error
    with transaction() as session:
        return get_event(session, event_id)


def _parse(
    transaction: TransactionFactory, source: EventSource, event_id: uuid.UUID, known: KnownPledges
) -> tuple[list[PaymentEvent] | None, datetime.datetime | None]:
    """Return what the event reports, None if it is gone, and when it was redacted."""
    with transaction() as session:
        event = session.get(GatewayEvent, event_id)
        payload, attempts = (None, 0) if event is None else (event.payload, event.attempts)
    if event is None:
        return None, None
    if payload is None:
        raise InvalidEvent("The payload of this event is deleted.")
    return source.parse_event(payload, known, may_wait=attempts < len(OWNER_WAITS)), event.redacted_at


def _record_failure(
    transaction: TransactionFactory,
    event_id: uuid.UUID,
    error: Exception,
    *,
    clock: Clock,
    parsed: list[PaymentEvent] | None = None,
) -> EventStatus | None:
    with transaction() as session:
        event = lock_event(session, event_id)
        if event is None:
            return None
        event.attempts += 1
        result = _classify_failure(event, error)
        # Erasing a supporter deletes the payloads of their pledges' events. The pledge named here may not exist.
        pledge_ids = [getattr(item, "pledge_id", None) for item in parsed or []]
        event.pledge_id = session.scalar(select(Pledge.id).where(Pledge.id.in_(pledge_ids)).limit(1))
        return _save_result(session, event, result, now=clock())


def _classify_failure(event: GatewayEvent, error: Exception) -> ProcessingResult:
    if isinstance(error, OwnerUnknown):
        wait = OWNER_WAITS[min(event.attempts, len(OWNER_WAITS)) - 1]
        return ProcessingResult(status=EventStatus.WAITING, reason=str(error), retry_in=wait)
    if isinstance(error, DependencyMissing):
        status = EventStatus.PARKED if event.attempts >= MAX_DEPENDENCY_RETRIES else EventStatus.WAITING
        return ProcessingResult(status=status, reason=str(error), retry_in=backoff(event.attempts))
    if isinstance(error, DomainError):
        return ProcessingResult(status=EventStatus.PARKED, reason=error.detail)
    if isinstance(error, InvalidEvent):
        return ProcessingResult(status=EventStatus.PARKED, reason=str(error))
    if isinstance(error, UnknownKey):
        # Another process may have the key, or this one once it has got it. That costs the event no attempt.
        event.attempts -= 1
        reason = "Waits for a key: no key of SECRET_KEYS opens what this event said."
        return ProcessingResult(status=event.status, reason=reason, retry_in=NEXT_KEY_WAIT)
    if isinstance(error, DecryptionError):
        return ProcessingResult(status=EventStatus.PARKED, reason="No key opens what this event said.")
    log.error("event_not_applied", reference=event.reference, kind=event.kind, exc_info=error)
    reason = f"A fault of the service: {type(error).__name__}."
    if event.attempts >= MAX_ERROR_RETRIES:
        return ProcessingResult(status=EventStatus.PARKED, reason=reason)
    return ProcessingResult(status=event.status, reason=reason, retry_in=backoff(event.attempts))


def _save_result(
    session: Session, event: GatewayEvent, result: ProcessingResult, *, now: datetime.datetime
) -> EventStatus:
    event.status, event.reason = result.status, result.reason
    event.pledge_id = result.pledge_id or event.pledge_id
    if result.retry_in is not None:
        event.next_attempt_at = now + result.retry_in
    if result.status in (EventStatus.APPLIED, EventStatus.IGNORED):
        event.applied_at = now
    if result.status == EventStatus.IGNORED:
        # The event is not about a pledge, and its payload may hold personal data of that other customer.
        event.payload = None
        delete_hashes(session, [event.id])
    elif _is_erased(session, event):
        session.flush()
        # Earlier ones may have been applied before the pledge was erased. Another worker redacts those it locked.
        redact_events(session, GatewayEvent.pledge_id == event.pledge_id, now=now, skip_locked=True)
    if result.status == EventStatus.PARKED:
        log.warning("event_parked", reference=event.reference, kind=event.kind, reason=result.reason)
        # Staff know of one that `make_resolvable_events_due` tried again in vain.
        if event.attempts <= MAX_DEPENDENCY_RETRIES or result.reason not in RESOLVABLE_REASONS:
            enqueue_parked_alert(session, event, now=now)
    return result.status


def _mark_erased(session: Session, pledge_ids: Iterable[uuid.UUID], *, now: datetime.datetime) -> None:
    """Mark pledges whose event named an erased address: a later event must not bring the address back."""
    for pledge_id in pledge_ids:
        pledge = session.get_one(Pledge, pledge_id)
        if pledge.supporter_id is None:
            mark_erased(pledge, now=now)


def _is_erased(session: Session, event: GatewayEvent) -> bool:
    if event.pledge_id is None:
        return False
    pledge = session.get(Pledge, event.pledge_id)
    return pledge is not None and pledge.erased_at is not None
