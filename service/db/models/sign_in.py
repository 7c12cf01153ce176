"""How a reader comes to their own page: a link by mail that opens once, and then a session."""

import datetime
import uuid

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base, UUIDPrimaryKey


class SignIn(UUIDPrimaryKey, Base):
    """One wish to sign in. The link and the session are known by their SHA-256 alone: both are 256 random bits.

    Whoever is not known has one too, without a supporter, so that asking takes and tells the same for everybody.
    """

    __tablename__ = "sign_ins"
    __table_args__ = (
        UniqueConstraint("link_hash"),
        UniqueConstraint("session_hash"),
        Index("ix_sign_ins_asked_at", "asked_at"),
        Index("ix_sign_ins_supporter_id", "supporter_id"),
    )

    supporter_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("supporters.id", ondelete="CASCADE"))
    asked_at: Mapped[datetime.datetime]
    link_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    link_expires_at: Mapped[datetime.datetime | None]
    used_at: Mapped[datetime.datetime | None]
    session_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    session_expires_at: Mapped[datetime.datetime | None]
