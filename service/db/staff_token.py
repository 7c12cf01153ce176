"""Keys to the staff's doors."""

import datetime

from sqlalchemy import LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base, UUIDPrimaryKey


class StaffToken(UUIDPrimaryKey, Base):
    """A bearer token, by its SHA-256: the token itself is 256 random bits and is shown once."""

    __tablename__ = "staff_tokens"
    __table_args__ = (UniqueConstraint("token_hash"),)

    name: Mapped[str] = mapped_column(String(120))
    scopes: Mapped[list[str]]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime.datetime]
    revoked_at: Mapped[datetime.datetime | None]
