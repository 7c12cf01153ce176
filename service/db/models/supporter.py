"""Supporters and their encrypted email addresses."""

import datetime

from sqlalchemy import Index, LargeBinary, SmallInteger, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base, UUIDPrimaryKey
from service.db.types import EncryptedText

HASH_VERSION = 2
EMAIL_TYPE = EncryptedText("supporters.email")


class Supporter(UUIDPrimaryKey, Base):
    """A person known by an email address, stored as typed. `email_hash` is the keyed hash by which it is found.

    `hash_version` is 2 where the folded address was hashed (see `address_hashes`), and 1 where the release before
    hashed it as typed. `email_changed_at` is when the address last changed, here or at the gateway. With
    `yearly_receipts` renewals have no receipt of their own by email.
    """

    __tablename__ = "supporters"
    __table_args__ = (
        UniqueConstraint("email_hash"),
        Index(
            "ix_supporters_unfolded",
            "id",
            postgresql_where=text("hash_version < 2"),
            sqlite_where=text("hash_version < 2"),
        ),
    )

    email: Mapped[str] = mapped_column(EMAIL_TYPE)
    email_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash_version: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    created_at: Mapped[datetime.datetime]
    email_changed_at: Mapped[datetime.datetime | None]
    yearly_receipts: Mapped[bool] = mapped_column(default=False, server_default=false())
