"""Keys that make a repeated request harmless, however many arrive at once.

The key's row and the pledge it made are written in one transaction, so that the database's own unique
constraint decides which of many equal requests is the first (after the IETF draft on the Idempotency-Key
header).
"""

import datetime
import hashlib
import json
import uuid
from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.db.keyring import sha256
from service.db.models.pledge import IdempotencyKey
from service.domain.errors import IdempotencyKeyReused

# A key is held for longer than any call to a gateway may take; a repeat after that finishes a crashed first.
LOCK_TTL = datetime.timedelta(seconds=30)
RETENTION = datetime.timedelta(days=7)


def request_hash(request: Mapping[str, object]) -> bytes:
    """Return the SHA-256 of what a request asks for, whatever the order of its fields: 32 bytes."""
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).digest()


def find_key(session: Session, key: str, request: Mapping[str, object]) -> IdempotencyKey | None:
    """Return the row of a key that was sent before with the same request, held for change; None for a new key.

    Raises:
        IdempotencyKeyReused: it was sent with another request.
    """
    row = session.scalar(select(IdempotencyKey).where(IdempotencyKey.key_hash == sha256(key)).with_for_update())
    if row is not None and row.request_hash != request_hash(request):
        raise IdempotencyKeyReused(
            "This Idempotency-Key was used for another request; make a new key for a new request.",
        )
    return row


def store_key(
    session: Session, key: str, request: Mapping[str, object], pledge_id: uuid.UUID, *, now: datetime.datetime
) -> None:
    """Write down that this key made this pledge, and hold it while the checkout starts."""
    session.add(
        IdempotencyKey(
            key_hash=sha256(key),
            request_hash=request_hash(request),
            pledge_id=pledge_id,
            locked_until=now + LOCK_TTL,
            created_at=now,
        )
    )


def purge_expired_keys(session: Session, *, now: datetime.datetime) -> int:
    """Delete keys that nobody will send again; return how many."""
    old = IdempotencyKey.created_at <= now - RETENTION
    return len(session.scalars(delete(IdempotencyKey).where(old).returning(IdempotencyKey.key_hash)).all())
