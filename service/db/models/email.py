"""The outbox of all emails, suppressions, and what limits and counts the emails that are sent."""

import datetime
import uuid
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from schemas.enums import DeliveryOutcome, EmailKind, EmailStatus, SuppressionReason
from service.db.base import Base, UUIDPrimaryKey
from service.db.types import EncryptedText, StringEnum, enum_check, equals_literal

ALL_CAMPAIGNS = "*"
# Stored messages are authenticated with this context, so it keeps the table's first name.
MESSAGE_TYPE = EncryptedText("outbox_mails.message")


# What an email of each kind must refer to.
REQUIRED_COLUMNS = {
    EmailKind.REMINDER: ("reminder_id", "occurrence"),
    EmailKind.REMINDER_CONFIRMATION: ("reminder_id", "occurrence"),
    EmailKind.RECEIPT: ("pledge_id", "payment_id"),
    EmailKind.PAYMENT_FAILED: ("pledge_id",),
    EmailKind.RENEWAL: ("pledge_id",),
    EmailKind.CANCELLED: ("pledge_id",),
    EmailKind.REFUND: ("pledge_id", "payment_id"),
    EmailKind.MONTHLY_YEARLY: ("pledge_id",),
    EmailKind.YEARLY_RECEIPT: ("supporter_id",),
    EmailKind.PAUSED: ("pledge_id",),
    EmailKind.RESUMING: ("pledge_id",),
    EmailKind.PAUSE_MISSED: ("pledge_id",),
    EmailKind.RESUMED: ("pledge_id",),
    EmailKind.CHANGED: ("pledge_id",),
    EmailKind.SIGN_IN: ("sign_in_id",),
    EmailKind.EMAIL_CHANGE: ("email_change_id",),
    EmailKind.EMAIL_CHANGED: ("email_change_id",),
    EmailKind.ERASURE: ("erasure_request_id",),
    EmailKind.ALERT: ("subject", "body"),
}


def _requirement(kind: EmailKind, columns: tuple[str, ...]) -> CheckConstraint:
    required = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    return CheckConstraint(f"kind != '{kind}' OR ({required})", name=f"{kind}_refers_to_its_own")


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


class OutgoingEmail(UUIDPrimaryKey, Base):
    """One email: what it is about, when it is due, who sends it, and what the mail server replied.

    `dedup_key` identifies the occasion within its kind, for example by a payment's id, so that each occasion leads
    to one email. Lower values of `priority` are sent first. A reminder has one email for each `occurrence`.
    `event_date` is the date that the email announces. An alert to staff has a `subject` and a `body`, which
    contain no personal data. No address is stored here.

    A worker that sends it holds a lease until `leased_until`; `lease_number` identifies the lease, and every claim
    increments it. `outcome`, `smtp_reply` and the instants are of the last attempt, and are written before the
    content is sent and after the server's final reply. `attempts` counts how often sending has begun. With
    `held_at`, a scheduled email waits for staff, because it may have been sent before a backup was restored.
    """

    __tablename__ = "emails"
    __table_args__ = (
        UniqueConstraint("kind", "dedup_key"),
        enum_check("kind", EmailKind, name="kind_known"),
        enum_check("status", EmailStatus, name="status_known"),
        enum_check("outcome", DeliveryOutcome, name="outcome_known"),
        *(_requirement(kind, columns) for kind, columns in REQUIRED_COLUMNS.items()),
        # Without what is held after a restore: a million emails, perhaps, that no claim has to read.
        Index("ix_emails_due", "priority", "due_at", "id", **_where("status = 'scheduled' AND held_at IS NULL")),
        Index("ix_emails_held", "due_at", "id", **_where("held_at IS NOT NULL")),
        Index("ix_emails_leased", "leased_until", **_where("status = 'sending'")),
        Index("ix_emails_failed", "due_at", **_where("status = 'failed'")),
        # Those of reminders are deleted with them.
        Index(
            "ix_emails_finished",
            "due_at",
            **_where("reminder_id IS NULL AND status IN ('sent', 'skipped', 'failed', 'cancelled')"),
        ),
        Index("ix_emails_reminder_id", "reminder_id", "occurrence", unique=True),
        # Most emails refer to one of these only, and an index costs what it holds.
        *(
            Index(f"ix_emails_{column}", column, **_where(f"{column} IS NOT NULL"))
            for column in (
                "supporter_id",
                "pledge_id",
                "payment_id",
                "sign_in_id",
                "email_change_id",
                "erasure_request_id",
            )
        ),
    )

    kind: Mapped[EmailKind] = mapped_column(StringEnum(EmailKind))
    dedup_key: Mapped[str] = mapped_column(Text)
    priority: Mapped[int] = mapped_column(SmallInteger)
    supporter_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("supporters.id", ondelete="CASCADE"))
    reminder_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("reminders.id", ondelete="CASCADE"))
    occurrence: Mapped[int | None]
    pledge_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("pledges.id", ondelete="CASCADE"))
    payment_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("payments.id", ondelete="CASCADE"))
    sign_in_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("sign_ins.id", ondelete="CASCADE"))
    email_change_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("email_changes.id", ondelete="CASCADE"))
    erasure_request_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("erasure_requests.id", ondelete="CASCADE")
    )
    event_date: Mapped[datetime.date | None]
    subject: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str | None] = mapped_column(Text)
    lang: Mapped[str] = mapped_column(String(35))
    status: Mapped[EmailStatus] = mapped_column(StringEnum(EmailStatus))
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


def status_is(status: EmailStatus) -> ColumnElement[bool]:
    """Return the condition that an email has this status, in a form that uses the partial indexes."""
    return equals_literal(OutgoingEmail.status, status)


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
