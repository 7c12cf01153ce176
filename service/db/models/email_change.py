"""Supporters' requests to change their email address."""

import datetime
import uuid

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base, UUIDPrimaryKey
from service.db.types import EncryptedText

EMAIL_CHANGE_TYPE = EncryptedText("email_changes.email")


class EmailChange(UUIDPrimaryKey, Base):
    """A supporter's request for another address, which a link to the new address confirms.

    `old_email` is stored when the change is confirmed, for the email that tells the old address of it. By a link
    in that email its owner can undo the change until `undo_until`, which is empty after a merge. The hashes are
    keyed (see `address_hashes`); an erasure finds both addresses by them.
    """

    __tablename__ = "email_changes"
    __table_args__ = (
        Index("ix_email_changes_supporter_id", "supporter_id"),
        Index("ix_email_changes_new_email_hash", "new_email_hash"),
        Index("ix_email_changes_old_email_hash", "old_email_hash"),
        Index("ix_email_changes_requested_at", "requested_at"),
    )

    supporter_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("supporters.id", ondelete="CASCADE"))
    new_email: Mapped[str] = mapped_column(EMAIL_CHANGE_TYPE)
    new_email_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    old_email: Mapped[str | None] = mapped_column(EMAIL_CHANGE_TYPE)
    old_email_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    requested_at: Mapped[datetime.datetime]
    confirmed_at: Mapped[datetime.datetime | None]
    undo_until: Mapped[datetime.datetime | None]
