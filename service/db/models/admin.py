"""Who took readers' data out, or away."""

import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base, UUIDPrimaryKey


class AuditEntry(UUIDPrimaryKey, Base):
    """One thing that staff did. `actor` names a token or the command line; `details` holds nothing personal."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_at", "at"),)

    at: Mapped[datetime.datetime]
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(64))
    details: Mapped[dict[str, Any]]


class StaffToken(UUIDPrimaryKey, Base):
    """A bearer token, by its SHA-256: the token itself is 256 random bits and is shown once."""

    __tablename__ = "staff_tokens"
    __table_args__ = (UniqueConstraint("token_hash"),)

    name: Mapped[str] = mapped_column(String(120))
    scopes: Mapped[list[str]]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime.datetime]
    revoked_at: Mapped[datetime.datetime | None]
