"""Idempotency keys: a repeated request creates nothing new, even when many arrive at once.

The key's row and its pledge are inserted in one transaction, so the database's unique constraint decides which
of several equal requests is the first (IETF draft on the Idempotency-Key header).
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

# Longer than any call to a gateway may take. A repeat after that completes a first request that crashed.
LOCK_TTL = datetime.timedelta(seconds=30)
RETENTION = datetime.timedelta(days=7)
# As many characters as 128 random bits have in hexadecimal.
RANDOM_KEY_LENGTH = 32


def scoped_key(key: str, *, campaign_id: uuid.UUID, client: str | None) -> str:
    """Return the key within its campaign and, if it may be guessed, within the `client` that sent it.

    Anyone who guesses a key and its request would get the checkout of someone else. A long key is taken as random:
    it also counts when a reader's phone has moved to another network.
    """
    scope = client if client is not None and len(key) < RANDOM_KEY_LENGTH else ""
    return f"{campaign_id} {scope} {key}"


def request_hash(request: Mapping[str, object]) -> bytes:
    """Return the SHA-256 of a request, 32 bytes, independent of the order of its fields."""
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).digest()


def find_key(session: Session, key: str, request: Mapping[str, object]) -> IdempotencyKey | None:
    """Return the locked row of a key that was sent before; None for a new key.

    Raises:
        IdempotencyKeyReused: the key was sent with another request.
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
    """Store the key of a pledge and lock it while the checkout starts."""
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
    """Delete keys older than `RETENTION`; return how many."""
    expired = IdempotencyKey.created_at <= now - RETENTION
    return len(session.scalars(delete(IdempotencyKey).where(expired).returning(IdempotencyKey.key_hash)).all())
