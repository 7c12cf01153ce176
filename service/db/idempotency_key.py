"""Keys that make a repeated request harmless."""

import datetime
import uuid

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base


class IdempotencyKey(Base):
    """One key that a client sent, by its SHA-256, and the pledge that it made.

    The first request holds the key until `held_until`; after that a repeat may finish what it began.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    key_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    pledge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("pledges.id", ondelete="CASCADE"))
    held_until: Mapped[datetime.datetime]
    created_at: Mapped[datetime.datetime]
