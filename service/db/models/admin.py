"""Staff tokens, and the log of what staff did with personal data."""

import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base, UUIDPrimaryKey


class StaffToken(UUIDPrimaryKey, Base):
    """A bearer token, stored as its SHA-256. The token itself is 256 random bits and is shown once.

    `last_used_at` is at most a minute behind the last request.
    """

    __tablename__ = "staff_tokens"
    __table_args__ = (UniqueConstraint("token_hash"),)

    name: Mapped[str] = mapped_column(String(120))
    scopes: Mapped[list[str]]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime.datetime]
    revoked_at: Mapped[datetime.datetime | None]
    last_used_at: Mapped[datetime.datetime | None]


class AuditEntry(UUIDPrimaryKey, Base):
    """One action of staff. `actor` names a token or the command line; `details` holds no personal data."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_at", "at"),)

    at: Mapped[datetime.datetime]
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(64))
    details: Mapped[dict[str, Any]]
