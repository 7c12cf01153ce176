"""The inbox of gateway events: each is stored once, claimed by one worker at a time, and retried with backoff."""

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
from service.domain.event_addresses import (
    delete_hashes,
    find_addresses,
    hash_addresses,
    redact_payload,
    was_erased_since,
)
from service.domain.pagination import Page, decode_cursor, encode_cursor
from service.domain.ports import RawEvent

WEBHOOK, RECONCILER = "webhook", "reconciler"
PENDING_STATUSES = (EventStatus.RECEIVED, EventStatus.WAITING)
# Another worker may claim an event after this long. Processing it twice changes nothing.
VISIBILITY_TIMEOUT = datetime.timedelta(seconds=60)
PAYLOAD_RETENTION = datetime.timedelta(days=90)
MAX_EVENT_TYPE_LENGTH = 128
INITIAL_BACKOFF = datetime.timedelta(seconds=5)
MAX_BACKOFF = datetime.timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events to list. None means any."""

    status: EventStatus | None = None


def store_event(session: Session, gateway: str, raw: RawEvent, *, source: str, now: datetime.datetime) -> bool:
    """Store an event as received, due at once; return whether it is new.

    An event from before an erasure is stored without the personal data of the erased supporter.
    """
    payload: str | None = raw.payload
    addresses = find_addresses(raw.payload)
    if was_erased_since(session, addresses, raw.occurred_at):
        payload, addresses = redact_payload(raw.payload), set()
    event_id = new_id()
    row = {
        "id": event_id,
        "gateway": gateway,
        "reference": raw.reference,
        "kind": raw.kind[:MAX_EVENT_TYPE_LENGTH],
        "payload": payload,
        "addresses_hashed": True,
        "redacted_at": now if payload is not raw.payload else None,
        "source": source,
        "status": EventStatus.RECEIVED,
        "attempts": 0,
        "occurred_at": raw.occurred_at,
        "received_at": now,
        "next_attempt_at": now,
    }
    is_new = insert_on_conflict_do_nothing(session, GatewayEvent, row, unique=("gateway", "reference"))
    if is_new and addresses:
        hash_addresses(session, event_id, addresses)
    return is_new


def claim_events(session: Session, gateway: str, *, now: datetime.datetime, limit: int) -> list[uuid.UUID]:
    """Claim due events that no other worker has locked; return their ids in the order of their occurrence."""
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
    """Lock a pending event until the transaction ends; None if it has been processed in the meantime."""
    event = session.get(GatewayEvent, event_id, with_for_update=True, options=[defer(GatewayEvent.payload)])
    return event if event is not None and event.status in PENDING_STATUSES else None


def backoff(attempts: int) -> datetime.timedelta:
    """Return the wait after the given number of attempts: 5 seconds, doubled each time, at most one hour."""
    factor: int = 2 ** (attempts - 1)
    return min(INITIAL_BACKOFF * factor, MAX_BACKOFF)


def get_event(session: Session, event_id: uuid.UUID) -> GatewayEvent:
    """Return an event without loading its payload.

    Raises:
        EventNotFound: no event has this id.
    """
    event = session.get(GatewayEvent, event_id, options=[defer(GatewayEvent.payload)])
    if event is None:
        raise EventNotFound("There is no event with this id.")
    return event


def reset_event(session: Session, event_id: uuid.UUID, *, now: datetime.datetime) -> GatewayEvent:
    """Reset the attempts of an event that was not applied, and claim it for the caller.

    Raises:
        EventNotFound: no event has this id.
        InvalidTransition: it was applied, or its payload is deleted.
    """
    event = session.get(GatewayEvent, event_id, with_for_update=True, options=[defer(GatewayEvent.payload)])
    if event is None:
        raise EventNotFound("There is no event with this id.")
    if event.status == EventStatus.APPLIED:
        raise InvalidTransition("This event was applied already.")
    has_payload = select(GatewayEvent.id).where(GatewayEvent.id == event_id, GatewayEvent.payload.is_not(None))
    if session.scalar(has_payload) is None:
        raise InvalidTransition("The payload of this event is deleted.")
    event.status, event.attempts, event.reason = EventStatus.RECEIVED, 0, None
    event.next_attempt_at = now + VISIBILITY_TIMEOUT
    return event


def list_events(session: Session, filters: EventFilter, *, limit: int, cursor: str | None) -> Page:
    """Return up to `limit` events without their payloads, the newest first.

    Raises:
        InvalidCursor: this list did not issue the cursor.
    """
    query = (
        select(GatewayEvent).options(defer(GatewayEvent.payload)).order_by(GatewayEvent.id.desc()).limit(limit + 1)
    )
    if filters.status is not None:
        query = query.where(GatewayEvent.status == filters.status)
    if cursor is not None:
        query = query.where(GatewayEvent.id < decode_cursor(cursor))
    rows = list(session.scalars(query))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


def purge_payloads(session: Session, *, now: datetime.datetime, limit: int = 500) -> int:
    """Delete the payloads of events older than `PAYLOAD_RETENTION`; return how many.

    The rows stay, so that an event which is delivered again is still recognised.
    """
    expired = session.scalars(
        select(GatewayEvent.id)
        .where(GatewayEvent.received_at <= now - PAYLOAD_RETENTION, GatewayEvent.payload.is_not(None))
        .order_by(GatewayEvent.received_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if expired:
        session.execute(
            update(GatewayEvent)
            .where(GatewayEvent.id.in_(expired))
            .values(payload=None)
            .execution_options(synchronize_session=False)
        )
        delete_hashes(session, expired)
    return len(expired)


def _is_pending() -> ColumnElement[bool]:
    # The statuses are rendered as literals: neither database uses the partial index if they are bind parameters.
    statuses: BindParameter[Any] = bindparam("open", PENDING_STATUSES, expanding=True, literal_execute=True)
    return GatewayEvent.status.in_(statuses)
