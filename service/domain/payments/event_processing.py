"""Working off what a gateway told us: read it, apply it, and say what became of it.

Whatever fails, nothing is lost. The gateway was answered when its event was kept, so that no fault of ours makes
it give up.
"""

import datetime
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from schemas.enums import EventStatus
from service.db.keyring import DecryptionError
from service.db.models.payment import GatewayEvent
from service.db.models.pledge import Pledge
from service.domain.errors import DomainError, PaymentsUnavailable
from service.domain.payments.event_handlers import DependencyMissing, handle_event
from service.domain.payments.inbox import (
    VISIBILITY_TIMEOUT,
    backoff,
    claim_events,
    get_event,
    lock_event,
    reset_event,
)
from service.domain.ports import Clock, EventSource, GatewayUnavailable, InvalidEvent, TransactionFactory
from service.domain.ports.payment_events import PaymentEvent

BATCH_SIZE = 20
MAX_DEPENDENCY_RETRIES = 12
MAX_ERROR_RETRIES = 5
# What is left of a batch after so long is better left to whoever may take it next.
BATCH_TIME_LIMIT = VISIBILITY_TIMEOUT * 3 / 4

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class ProcessingResult:
    """What became of an event: where it stands, why, and which pledge it was about."""

    status: EventStatus
    reason: str | None = None
    pledge_id: uuid.UUID | None = None
    retry_in: datetime.timedelta | None = None


def process_pending_events(
    transaction: TransactionFactory,
    source: EventSource,
    *,
    clock: Clock,
    goes_on: Callable[[], bool] = lambda: True,
) -> Counter[str]:
    """Apply what is due until nothing is; return how many events came to which end.

    One whose missing part cannot be looked up now is `put_off`, at no cost to it, and the others go on.
    """
    counts: Counter[str] = Counter()
    while goes_on():
        began = clock()
        with transaction() as session:
            taken = claim_events(session, source.name, now=began, limit=BATCH_SIZE)
        for event_id in taken:
            if not goes_on() or clock() - began > BATCH_TIME_LIMIT:
                break
            try:
                status = process_event(transaction, source, event_id, clock=clock)
            except GatewayUnavailable:
                counts["put_off"] += 1
                continue
            if status is not None:
                counts[status.value] += 1
        if not taken:
            break
    return counts


def process_event(
    transaction: TransactionFactory, source: EventSource, event_id: uuid.UUID, *, clock: Clock
) -> EventStatus | None:
    """Apply one event and write down what became of it; None if somebody else did meanwhile.

    Raises:
        GatewayUnavailable: it could not be read for now.
    """
    try:
        news = _parse(transaction, source, event_id)
    except GatewayUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one event must not stop the others
        return _record_failure(transaction, event_id, error, clock=clock)
    if news is None:
        return None
    try:
        with transaction() as session:
            event = lock_event(session, event_id)
            if event is None:
                return None
            pledges = {handle_event(session, source.name, one, now=clock()) for one in news}
            status = EventStatus.APPLIED if news else EventStatus.IGNORED
            return _save_result(
                event, ProcessingResult(status=status, pledge_id=next(iter(pledges), None)), now=clock()
            )
    except OperationalError:
        # The database is away, or chose this transaction to break a deadlock: the event comes up again by itself.
        raise
    except Exception as error:  # noqa: BLE001 - as above
        return _record_failure(transaction, event_id, error, about=news, clock=clock)


def retry_event(
    transaction: TransactionFactory, source: EventSource, event_id: uuid.UUID, *, clock: Clock
) -> GatewayEvent:
    """Apply an event that was parked, ignored or waits, at once; return it as it stands then.

    Raises:
        EventNotFound, InvalidTransition: see `reset_event`.
        PaymentsUnavailable: what it leaves out cannot be looked up now; it is tried again by itself.
    """
    with transaction() as session:
        reset_event(session, event_id, now=clock())
    try:
        process_event(transaction, source, event_id, clock=clock)
    except GatewayUnavailable as error:
        raise PaymentsUnavailable(
            "The payment processor does not answer right now; the event is tried again by itself.",
            retry_after_seconds=int(VISIBILITY_TIMEOUT.total_seconds()),
        ) from error
    with transaction() as session:
        return get_event(session, event_id)


def _parse(transaction: TransactionFactory, source: EventSource, event_id: uuid.UUID) -> list[PaymentEvent] | None:
    with transaction() as session:
        event = session.get(GatewayEvent, event_id)
        payload = None if event is None else event.payload
    if event is None:
        return None
    if payload is None:
        raise InvalidEvent("What this event said is forgotten.")
    return source.parse_event(payload)


def _record_failure(
    transaction: TransactionFactory,
    event_id: uuid.UUID,
    error: Exception,
    *,
    clock: Clock,
    about: list[PaymentEvent] | None = None,
) -> EventStatus | None:
    with transaction() as session:
        event = lock_event(session, event_id)
        if event is None:
            return None
        event.attempts += 1
        verdict = _classify_failure(event, error)
        named = [getattr(one, "pledge_id", None) for one in about or []]
        # So that an erasure of its reader finds what it says; there may be no such pledge.
        event.pledge_id = session.scalar(select(Pledge.id).where(Pledge.id.in_(named)).limit(1))
        return _save_result(event, verdict, now=clock())


def _classify_failure(event: GatewayEvent, error: Exception) -> ProcessingResult:
    if isinstance(error, DependencyMissing):
        status = EventStatus.PARKED if event.attempts >= MAX_DEPENDENCY_RETRIES else EventStatus.WAITING
        return ProcessingResult(status=status, reason=str(error), retry_in=backoff(event.attempts))
    if isinstance(error, DomainError):
        return ProcessingResult(status=EventStatus.PARKED, reason=error.detail)
    if isinstance(error, InvalidEvent):
        return ProcessingResult(status=EventStatus.PARKED, reason=str(error))
    if isinstance(error, DecryptionError):
        return ProcessingResult(status=EventStatus.PARKED, reason="No key opens what this event said.")
    log.error("event_not_applied", reference=event.reference, kind=event.kind, exc_info=error)
    reason = f"A fault of the service: {type(error).__name__}."
    if event.attempts >= MAX_ERROR_RETRIES:
        return ProcessingResult(status=EventStatus.PARKED, reason=reason)
    return ProcessingResult(status=event.status, reason=reason, retry_in=backoff(event.attempts))


def _save_result(event: GatewayEvent, verdict: ProcessingResult, *, now: datetime.datetime) -> EventStatus:
    event.status, event.reason = verdict.status, verdict.reason
    event.pledge_id = verdict.pledge_id or event.pledge_id
    if verdict.retry_in is not None:
        event.next_attempt_at = now + verdict.retry_in
    if verdict.status in (EventStatus.APPLIED, EventStatus.IGNORED):
        event.applied_at = now
    if verdict.status == EventStatus.IGNORED:
        # It is about somebody else's money, and names whoever that is.
        event.payload = None
    if verdict.status == EventStatus.PARKED:
        log.warning("event_parked", reference=event.reference, kind=event.kind, reason=verdict.reason)
    return verdict.status
