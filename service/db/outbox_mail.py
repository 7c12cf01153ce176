"""Mails that the `outbox` mailer keeps instead of sending."""

import datetime

from sqlalchemy import Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base, UUIDPrimaryKey
from service.db.types import EncryptedText

MESSAGE_TYPE = EncryptedText("outbox_mails.message")


class DevOutboxEmail(UUIDPrimaryKey, Base):
    """One kept mail. The whole message is encrypted, since it holds an address and the links of its reader."""

    __tablename__ = "outbox_mails"
    __table_args__ = (
        UniqueConstraint("message_id"),
        Index("ix_outbox_mails_recipient_hash", "recipient_hash"),
    )

    message_id: Mapped[str] = mapped_column(Text)
    recipient_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    message: Mapped[str] = mapped_column(MESSAGE_TYPE)
    sent_at: Mapped[datetime.datetime]
