"""Staff access: API tokens with scopes, and the audit log."""

import datetime
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import Scope
from service.db.keyring import sha256
from service.db.models.admin import AuditEntry, StaffToken
from service.domain.errors import StaffTokenNotFound

TOKEN_PREFIX = "mst_"  # noqa: S105 - the prefix lets secret scanners find a leaked token


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


def revoke_staff_tokens(session: Session, *, name: str, now: datetime.datetime) -> int:
    """Revoke every active token of this name; return how many.

    Raises:
        StaffTokenNotFound: no active token has this name.
    """
    tokens = session.scalars(
        select(StaffToken).where(StaffToken.name == name, StaffToken.revoked_at.is_(None))
    ).all()
    if not tokens:
        raise StaffTokenNotFound(f"There is no token in use with the name {name!r}.")
    for token in tokens:
        token.revoked_at = now
    return len(tokens)


def write_audit_entry(
    session: Session, *, actor: str, action: str, details: dict[str, Any], now: datetime.datetime
) -> None:
    """Append to the audit log; `details` must hold no personal data."""
    session.add(AuditEntry(at=now, actor=actor, action=action, details=details))
