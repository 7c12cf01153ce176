"""What a gateway told us: kept once, taken by one worker at a time, and left alone a little longer each time."""

import datetime
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, bindparam, select, update
from sqlalchemy.orm import Session, defer

from schemas.enums import EventStatus
from service.db.base import new_id
from service.db.models.payment import GatewayEvent
from service.db.upsert import insert_on_conflict_do_nothing
from service.domain.errors import EventNotFound, InvalidTransition
from service.domain.pagination import Page, decode_cursor, encode_cursor
from service.domain.ports import RawEvent

WEBHOOK, RECONCILER = "webhook", "reconciler"
PENDING_STATUSES = (EventStatus.RECEIVED, EventStatus.WAITING)
# Who takes an event has this long before somebody else may; nothing is lost if both get to it.
VISIBILITY_TIMEOUT = datetime.timedelta(seconds=60)
PAYLOAD_RETENTION = datetime.timedelta(days=90)
MAX_EVENT_TYPE_LENGTH = 128
INITIAL_BACKOFF = datetime.timedelta(seconds=5)
MAX_BACKOFF = datetime.timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events; what is None filters nothing."""

    status: EventStatus | None = None


def store_event(session: Session, gateway: str, raw: RawEvent, *, source: str, now: datetime.datetime) -> bool:
    """Keep an event as it came, to be applied at once; return whether it is new."""
    row = {
        "id": new_id(),
        "gateway": gateway,
        "reference": raw.reference,
        "kind": raw.kind[:MAX_EVENT_TYPE_LENGTH],
        "payload": raw.payload,
        "source": source,
        "status": EventStatus.RECEIVED,
        "attempts": 0,
        "occurred_at": raw.occurred_at,
        "received_at": now,
        "next_attempt_at": now,
    }
    return insert_on_conflict_do_nothing(session, GatewayEvent, row, unique=("gateway", "reference"))


def claim_events(session: Session, gateway: str, *, now: datetime.datetime, limit: int) -> list[uuid.UUID]:
    """Take events that are due, in the order in which they happened, but for those that somebody else takes."""
    due = session.execute(
        select(GatewayEvent.id, GatewayEvent.occurred_at)
        .where(_is_pending(), GatewayEvent.gateway == gateway, GatewayEvent.next_attempt_at <= now)
        .order_by(GatewayEvent.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    ids = [event_id for event_id, _ in sorted(due, key=lambda row: (row.occurred_at, row.id))]
    if ids:
        session.execute(
            update(GatewayEvent)
            .where(GatewayEvent.id.in_(ids))
            .values(next_attempt_at=now + VISIBILITY_TIMEOUT)
            .execution_options(synchronize_session=False)
        )
    return ids


def lock_event(session: Session, event_id: uuid.UUID) -> GatewayEvent | None:
    """Hold an event that is still to be applied until the transaction ends; None if that was done meanwhile."""
    event = session.get(GatewayEvent, event_id, with_for_update=True, options=[defer(GatewayEvent.payload)])
    return event if event is not None and event.status in PENDING_STATUSES else None


def backoff(attempts: int) -> datetime.timedelta:
    """Return how long to wait after so many attempts: 5 seconds, doubled each time, an hour at most."""
    factor: int = 2 ** (attempts - 1)
    return min(INITIAL_BACKOFF * factor, MAX_BACKOFF)


def get_event(session: Session, event_id: uuid.UUID) -> GatewayEvent:
    """Return an event without its payload, which nobody needs to see.

    Raises:
        EventNotFound: there is none with this id.
    """
    event = session.get(GatewayEvent, event_id, options=[defer(GatewayEvent.payload)])
    if event is None:
        raise EventNotFound("There is no event with this id.")
    return event


def reset_event(session: Session, event_id: uuid.UUID, *, now: datetime.datetime) -> GatewayEvent:
    """Give an event that was not applied all its attempts again; whoever asked for it has it to begin with.

    Raises:
        EventNotFound: there is none with this id.
        InvalidTransition: it was applied, or its payload is forgotten.
    """
    event = session.get(GatewayEvent, event_id, with_for_update=True, options=[defer(GatewayEvent.payload)])
    if event is None:
        raise EventNotFound("There is no event with this id.")
    if event.status == EventStatus.APPLIED:
        raise InvalidTransition("This event was applied already.")
    kept = select(GatewayEvent.id).where(GatewayEvent.id == event_id, GatewayEvent.payload.is_not(None))
    if session.scalar(kept) is None:
        raise InvalidTransition("What this event said is forgotten.")
    event.status, event.attempts, event.reason = EventStatus.RECEIVED, 0, None
    event.next_attempt_at = now + VISIBILITY_TIMEOUT
    return event


def list_events(session: Session, wanted: EventFilter, *, limit: int, cursor: str | None) -> Page:
    """Return up to `limit` events, those that came last first, without what they say.

    Raises:
        InvalidCursor: the cursor is not one that was given out.
    """
    query = (
        select(GatewayEvent).options(defer(GatewayEvent.payload)).order_by(GatewayEvent.id.desc()).limit(limit + 1)
    )
    if wanted.status is not None:
        query = query.where(GatewayEvent.status == wanted.status)
    if cursor is not None:
        query = query.where(GatewayEvent.id < decode_cursor(cursor))
    rows = list(session.scalars(query))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


def purge_payloads(session: Session, *, now: datetime.datetime, limit: int = 500) -> int:
    """Forget what old events said; the rest of them stays, so that none is taken for new. Return how many."""
    old = session.scalars(
        select(GatewayEvent.id)
        .where(GatewayEvent.received_at <= now - PAYLOAD_RETENTION, GatewayEvent.payload.is_not(None))
        .order_by(GatewayEvent.received_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if old:
        session.execute(
            update(GatewayEvent)
            .where(GatewayEvent.id.in_(old))
            .values(payload=None)
            .execution_options(synchronize_session=False)
        )
    return len(old)


def _is_pending() -> ColumnElement[bool]:
    # The words stand in the statement itself: neither database can prove from parameters that the partial index
    # covers them.
    words: BindParameter[Any] = bindparam("open", PENDING_STATUSES, expanding=True, literal_execute=True)
    return GatewayEvent.status.in_(words)
