"""Deliveries, notifications, suppressions, and what limits and counts the emails that are sent."""

import datetime
import uuid

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from schemas.enums import DeliveryOutcome, NotificationKind, NotificationStatus, SuppressionReason
from service.db.base import Base, UUIDPrimaryKey
from service.db.types import EncryptedText, StringEnum, enum_check, equals_literal

ALL_CAMPAIGNS = "*"
# Stored messages are authenticated with this context, so it keeps the table's first name.
MESSAGE_TYPE = EncryptedText("outbox_mails.message")


class EmailDelivery(Base):
    """The delivery of one occurrence of a reminder, written before sending and completed after the server's reply.

    The Message-ID follows from the reminder and the occurrence. `attempts` counts how often sending has begun,
    `smtp_reply` is the server's final reply without any address, and `lease_number` is the lease of the reminder
    under which it is sent.
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


class Notification(UUIDPrimaryKey, Base):
    """One email about a pledge, for signing in or to staff, and its own delivery record.

    `dedup_key` identifies the occasion within its kind, for example by a payment's id, so that each occasion is
    notified once. `event_date` is the date that the email announces. An alert to staff has a `subject` and a
    `body`, which contain no personal data. The columns from `outcome` on mean the same as in `deliveries`, and
    `held_at` the same as in `reminders`.
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
        Index("ix_notifications_email_change_id", "email_change_id"),
    )

    kind: Mapped[NotificationKind] = mapped_column(StringEnum(NotificationKind))
    dedup_key: Mapped[str] = mapped_column(Text)
    supporter_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("supporters.id", ondelete="CASCADE"))
    pledge_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("pledges.id", ondelete="CASCADE"))
    payment_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("payments.id", ondelete="CASCADE"))
    sign_in_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("sign_ins.id", ondelete="CASCADE"))
    email_change_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("email_changes.id", ondelete="CASCADE"))
    event_date: Mapped[datetime.date | None]
    subject: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str | None] = mapped_column(Text)
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
    held_at: Mapped[datetime.datetime | None]


def status_is(status: NotificationStatus) -> ColumnElement[bool]:
    """Return the condition that a notification has this status, in a form that uses the partial indexes."""
    return equals_literal(Notification.status, status)


class Suppression(Base):
    """An address that gets no email from one campaign (`scope` is its slug) or from any (`*`).

    Only the keyed hash of the address is stored (see `Keyring.prefixed_lookup_hashes`).
    """

    __tablename__ = "suppressions"
    __table_args__ = (enum_check("reason", SuppressionReason, name="reason_known"),)

    email_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[SuppressionReason] = mapped_column(StringEnum(SuppressionReason))
    at: Mapped[datetime.datetime]


class SendRateLimit(Base):
    """The next free slot for sending; one row for each mail server. Workers reserve slots by moving it."""

    __tablename__ = "email_send_rate"

    server: Mapped[str] = mapped_column(String(300), primary_key=True)
    next_slot_at: Mapped[datetime.datetime]


class MailServerCapability(Base):
    """What a worker last learned from a mail server; `server` is its host and port."""

    __tablename__ = "mail_server_capabilities"

    server: Mapped[str] = mapped_column(String(300), primary_key=True)
    supports_smtputf8: Mapped[bool]
    checked_at: Mapped[datetime.datetime]


class MailboxLimit(Base):
    """How often anyone asked for something that sends email to one mailbox, in a window of time.

    `mailbox_hash` is the keyed hash of the address without its plus part. `scope` is a campaign's slug or `*`.
    """

    __tablename__ = "mailbox_limits"
    __table_args__ = (
        CheckConstraint("count > 0", name="count_positive"),
        Index("ix_mailbox_limits_last_at", "last_at"),
    )

    mailbox_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    action: Mapped[str] = mapped_column(String(32), primary_key=True)
    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int]
    window_started_at: Mapped[datetime.datetime]
    last_at: Mapped[datetime.datetime]


class UsedWebhookProof(Base):
    """A proof of an email service that is not bound to its report, and the report that it came with first."""

    __tablename__ = "used_webhook_proofs"
    __table_args__ = (Index("ix_used_webhook_proofs_expires_at", "expires_at"),)

    proof_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    report_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    expires_at: Mapped[datetime.datetime]


class EmailCounter(Base):
    """A count that only grows, for example of the emails sent."""

    __tablename__ = "email_counters"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class DevOutboxEmail(UUIDPrimaryKey, Base):
    """An email that the outbox mailer stored instead of sending it.

    The whole message is encrypted, because it holds the recipient's address and personal links.
    """

    __tablename__ = "dev_outbox"
    __table_args__ = (
        UniqueConstraint("message_id"),
        Index("ix_dev_outbox_recipient_hash", "recipient_hash"),
    )

    message_id: Mapped[str] = mapped_column(Text)
    recipient_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    message: Mapped[str] = mapped_column(MESSAGE_TYPE)
    sent_at: Mapped[datetime.datetime]
