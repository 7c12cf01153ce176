"""Supporters and their encrypted email addresses."""

import datetime

from sqlalchemy import LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base, UUIDPrimaryKey
from service.db.types import EncryptedText

EMAIL_TYPE = EncryptedText("supporters.email")


class Supporter(UUIDPrimaryKey, Base):
    """A person known by an email address; `email_hash` is its keyed hash (see `Keyring.lookup_hash`)."""

    __tablename__ = "supporters"
    __table_args__ = (UniqueConstraint("email_hash"),)

    email: Mapped[str] = mapped_column(EMAIL_TYPE)
    email_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime.datetime]
