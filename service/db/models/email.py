"""What was said about each mail that left, or was about to."""

import datetime
import uuid

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    bindparam,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from schemas.enums import DeliveryOutcome, NotificationKind, NotificationStatus, SuppressionReason
from service.db.base import Base, UUIDPrimaryKey
from service.db.types import EncryptedText, StringEnum, enum_check


class EmailDelivery(Base):
    """One mail: written before it leaves, and completed after the mail server's final reply.

    There is one for each occurrence of a reminder, and the Message-ID follows from the two. `attempts` counts how
    often it was about to leave; `smtp_reply` is what the server said, without an address; `lease_number` says
    whose it is.
    """

    __tablename__ = "deliveries"
    __table_args__ = (enum_check("outcome", DeliveryOutcome, name="outcome_known"),)

    reminder_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("reminders.id", ondelete="CASCADE"), primary_key=True
    )
    occurrence: Mapped[int] = mapped_column(primary_key=True)
    lease_number: Mapped[int]
    attempts: Mapped[int]
    outcome: Mapped[DeliveryOutcome] = mapped_column(StringEnum(DeliveryOutcome))
    smtp_reply: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime.datetime]
    finished_at: Mapped[datetime.datetime | None]


class SendRateLimit(Base):
    """The first instant that no worker has taken for a mail yet; one row for the one mail server."""

    __tablename__ = "email_send_rate"

    server: Mapped[str] = mapped_column(String(300), primary_key=True)
    next_slot_at: Mapped[datetime.datetime]


class EmailCounter(Base):
    """One count that only grows, such as of the mails sent."""

    __tablename__ = "email_counters"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class Notification(UUIDPrimaryKey, Base):
    """One mail, and its own delivery record: the columns from `outcome` on mean what they mean in `deliveries`.

    `dedup_key` says in a few words of ours what it is about, such as a payment's id, so that nothing is told
    twice.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("kind", "dedup_key"),
        enum_check("kind", NotificationKind, name="kind_known"),
        enum_check("status", NotificationStatus, name="status_known"),
        enum_check("outcome", DeliveryOutcome, name="outcome_known"),
        Index(
            "ix_notifications_due",
            "due_at",
            "id",
            postgresql_where=text("status = 'scheduled'"),
            sqlite_where=text("status = 'scheduled'"),
        ),
        Index(
            "ix_notifications_leased",
            "leased_until",
            postgresql_where=text("status = 'sending'"),
            sqlite_where=text("status = 'sending'"),
        ),
        Index("ix_notifications_pledge_id", "pledge_id"),
        Index("ix_notifications_supporter_id", "supporter_id"),
        Index("ix_notifications_payment_id", "payment_id"),
        Index("ix_notifications_sign_in_id", "sign_in_id"),
    )

    kind: Mapped[NotificationKind] = mapped_column(StringEnum(NotificationKind))
    dedup_key: Mapped[str] = mapped_column(Text)
    supporter_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("supporters.id", ondelete="CASCADE"))
    pledge_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("pledges.id", ondelete="CASCADE"))
    payment_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("payments.id", ondelete="CASCADE"))
    sign_in_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("sign_ins.id", ondelete="CASCADE"))
    event_date: Mapped[datetime.date | None]
    lang: Mapped[str] = mapped_column(String(35))
    status: Mapped[NotificationStatus] = mapped_column(StringEnum(NotificationStatus))
    due_at: Mapped[datetime.datetime]
    created_at: Mapped[datetime.datetime]
    reason: Mapped[str | None] = mapped_column(Text)
    leased_by: Mapped[uuid.UUID | None]
    leased_until: Mapped[datetime.datetime | None]
    lease_number: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    outcome: Mapped[DeliveryOutcome | None] = mapped_column(StringEnum(DeliveryOutcome))
    smtp_reply: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]


def status_is(status: NotificationStatus) -> ColumnElement[bool]:
    """Return the condition that a notice stands here, with the word in the statement itself.

    Neither database can prove from a parameter that a partial index covers what is asked for.
    """
    word: BindParameter[NotificationStatus] = bindparam(
        None, status, type_=Notification.status.type, literal_execute=True, unique=True
    )
    return Notification.status == word


# The context is part of what is encrypted, so it keeps the name that the table had first.
MESSAGE_TYPE = EncryptedText("outbox_mails.message")


class DevOutboxEmail(UUIDPrimaryKey, Base):
    """One kept mail. The whole message is encrypted, since it holds an address and the links of its reader."""

    __tablename__ = "dev_outbox"
    __table_args__ = (
        UniqueConstraint("message_id"),
        Index("ix_dev_outbox_recipient_hash", "recipient_hash"),
    )

    message_id: Mapped[str] = mapped_column(Text)
    recipient_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    message: Mapped[str] = mapped_column(MESSAGE_TYPE)
    sent_at: Mapped[datetime.datetime]


ALL_CAMPAIGNS = "*"


class Suppression(Base):
    """An address, known only by its keyed hash, that gets no mail of one campaign (its slug) or of any (`*`)."""

    __tablename__ = "suppressions"
    __table_args__ = (enum_check("reason", SuppressionReason, name="reason_known"),)

    email_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[SuppressionReason] = mapped_column(StringEnum(SuppressionReason))
    at: Mapped[datetime.datetime]
