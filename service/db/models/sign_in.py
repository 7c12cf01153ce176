"""Sign-in to a supporter's own page: an emailed link that works once, and then a session."""

import datetime
import uuid

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base, UUIDPrimaryKey


class SignIn(UUIDPrimaryKey, Base):
    """A request to sign in. Only the SHA-256 of the link and of the session is stored: both are 256 random bits.

    An unknown address gets a row as well, without a supporter, so that neither the response nor its duration
    reveals whether an address is known.
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
