"""Staff access: API tokens with scopes, and the audit log."""

import datetime
import secrets
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from schemas.enums import Scope
from service.db.keyring import sha256
from service.db.models.admin import AuditEntry, StaffToken
from service.domain.errors import StaffTokenAmbiguous, StaffTokenNameTaken, StaffTokenNotFound

TOKEN_PREFIX = "mst_"  # noqa: S105 - the prefix lets secret scanners find a leaked token
USE_RECORDED_EVERY = datetime.timedelta(minutes=1)


def require_free_name(session: Session, name: str) -> None:
    """Check that no active token has this name.

    Raises:
        StaffTokenNameTaken: one has; the error has its id.
    """
    if named := _active_tokens(session, name):
        raise StaffTokenNameTaken(
            f"A token named {name!r} is in use ({named[0].id}). Choose another name, or revoke that one first."
        )


def create_staff_token(session: Session, *, name: str, scopes: Sequence[Scope], now: datetime.datetime) -> str:
    """Create a token of 256 random bits and return it; only its SHA-256 is stored."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    session.add(
        StaffToken(name=name, scopes=[scope.value for scope in scopes], token_hash=sha256(token), created_at=now)
    )
    return token


def authenticate_token(session: Session, token: str) -> StaffToken | None:
    """Return the token's row, unless it is unknown or revoked."""
    return session.scalar(
        select(StaffToken).where(StaffToken.token_hash == sha256(token), StaffToken.revoked_at.is_(None))
    )


def list_staff_tokens(session: Session) -> Sequence[StaffToken]:
    """Return all tokens, including revoked ones, the oldest first."""
    return session.scalars(select(StaffToken).order_by(StaffToken.id)).all()


def record_token_use(session: Session, token: StaffToken, *, now: datetime.datetime) -> None:
    """Store when the token was used last, unless another request has just done so."""
    session.execute(
        update(StaffToken)
        .where(StaffToken.id == token.id, _unrecorded_since(now))
        .values(last_used_at=now)
        .execution_options(synchronize_session=False)
    )


def is_use_recorded(token: StaffToken, *, now: datetime.datetime) -> bool:
    """Whether a use of the token was stored within the last minute, so that another needs not be."""
    return token.last_used_at is not None and token.last_used_at > now - USE_RECORDED_EVERY


def revoke_staff_token(
    session: Session, *, token_id: uuid.UUID | None = None, name: str = "", now: datetime.datetime
) -> StaffToken:
    """Revoke the active token with this id, or else with this name, and return it.

    Raises:
        StaffTokenNotFound: there is none.
        StaffTokenAmbiguous: more than one has this name. Earlier releases allowed that.
    """
    if token_id is not None:
        token = session.get(StaffToken, token_id)
        if token is None or token.revoked_at is not None:
            raise StaffTokenNotFound(f"There is no token in use with the id {token_id}.")
    else:
        named = _active_tokens(session, name)
        if not named:
            raise StaffTokenNotFound(f"There is no token in use with the name {name!r}.")
        if len(named) > 1:
            ids = ", ".join(f"{token.id} (made {token.created_at:%Y-%m-%d})" for token in named)
            raise StaffTokenAmbiguous(f"{len(named)} tokens are named {name!r}. Revoke one by its id: {ids}.")
        token = named[0]
    token.revoked_at = now
    return token


def _active_tokens(session: Session, name: str) -> Sequence[StaffToken]:
    query = select(StaffToken).where(StaffToken.name == name, StaffToken.revoked_at.is_(None))
    return session.scalars(query.order_by(StaffToken.id)).all()


def _unrecorded_since(now: datetime.datetime) -> ColumnElement[bool]:
    return or_(StaffToken.last_used_at.is_(None), StaffToken.last_used_at <= now - USE_RECORDED_EVERY)


def write_audit_entry(
    session: Session, *, actor: str, action: str, details: dict[str, Any], now: datetime.datetime
) -> None:
    """Append to the audit log; `details` must hold no personal data."""
    session.add(AuditEntry(at=now, actor=actor, action=action, details=details))
