"""Pledges, the history of their status, and the idempotency keys of the requests that create them."""

import datetime
import uuid

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from schemas.enums import Frequency, PledgeStatus
from service.db.base import Base, UUIDPrimaryKey, new_id
from service.db.models.campaign import Campaign
from service.db.models.supporter import Supporter
from service.db.types import EncryptedText, StringEnum, enum_check

# The page shows the name and the address of whoever opens it.
INVOICE_URL_TYPE = EncryptedText("pledges.open_invoice_url", on_decrypt_error="")


class Pledge(UUIDPrimaryKey, Base):
    """What one supporter chose to give, and its status.

    `reminder_id` is the reminder that led to it. `fees_minor` is what the supporter adds to `amount_minor` to
    cover the gateway's fee. For a recurring pledge, `subscription_reference` and `customer_reference` are the
    gateway's own identifiers, `renews_at` is its next payment, `subscription_status_at` is when the gateway last
    reported the status of the subscription, and `ended_at` is when it ended. `cancel_requested_at`,
    `pending_amount_minor` and `pending_frequency` record a change before the gateway is called. After a switch of
    the frequency, payments are made on the day of the month of `anchored_at`. At `pause_requested_at`, a pause
    until `pending_resumes_at` was requested, or the end of one if that is empty.

    What the gateway reported, each with its own time: `checkout_completed_at`, `payment_bounced_at` (the bank did
    not make the first payment) and `settled_outside_at` (the last invoice that was paid without the gateway).
    `cancel_at` is when the subscription will end, `is_paused` whether its payments are paused, and `resumes_at`
    until when. `subscription_state` is a digest of the last reported amount, end and pause, and
    `previous_subscription_state` of those before it; they order reports of the same second.

    `open_invoice_reference` is the last invoice that could not be charged, `open_invoice_url` the gateway's page
    to pay it, `open_invoice_at` when that was reported, and `action_required_at` when the bank last wanted a
    payment confirmed. `payment_method_changed_at` is when its customer last saved a card, and
    `invoice_retry_requested_at` records that the invoice is to be charged again, before the gateway is called. A
    pledge with `erased_at` gets no supporter any more.
    """

    __tablename__ = "pledges"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("fees_minor >= 0", name="fees_not_negative"),
        enum_check("frequency", Frequency, name="frequency_known"),
        enum_check("status", PledgeStatus, name="status_known"),
        enum_check("pending_frequency", Frequency, name="pending_frequency_known"),
        UniqueConstraint("gateway", "gateway_reference"),
        UniqueConstraint("gateway", "subscription_reference"),
        Index(
            "ix_pledges_pending_created_at",
            "created_at",
            postgresql_where=text("status = 'pending'"),
            sqlite_where=text("status = 'pending'"),
        ),
        Index("ix_pledges_supporter_id", "supporter_id"),
        Index(
            "ix_pledges_reminder_id",
            "reminder_id",
            postgresql_where=text("reminder_id IS NOT NULL"),
            sqlite_where=text("reminder_id IS NOT NULL"),
        ),
        Index("ix_pledges_customer_reference", "customer_reference"),
        Index(
            "ix_pledges_invoice_retry_requested_at",
            "invoice_retry_requested_at",
            postgresql_where=text("invoice_retry_requested_at IS NOT NULL"),
            sqlite_where=text("invoice_retry_requested_at IS NOT NULL"),
        ),
        Index(
            "ix_pledges_renews_at",
            "renews_at",
            postgresql_where=text("status = 'active'"),
            sqlite_where=text("status = 'active'"),
        ),
    )

    campaign_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("campaigns.id"))
    supporter_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("supporters.id", ondelete="SET NULL"))
    reminder_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("reminders.id", ondelete="SET NULL"))
    status: Mapped[PledgeStatus] = mapped_column(StringEnum(PledgeStatus))
    frequency: Mapped[Frequency] = mapped_column(StringEnum(Frequency))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    page_url: Mapped[str | None] = mapped_column(Text)
    variant: Mapped[str | None] = mapped_column(Text)
    lang: Mapped[str | None] = mapped_column(String(35))
    return_url: Mapped[str | None] = mapped_column(Text)
    gateway: Mapped[str] = mapped_column(String(32))
    gateway_reference: Mapped[str | None] = mapped_column(Text)
    checkout_url: Mapped[str | None] = mapped_column(Text)
    fees_minor: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    subscription_reference: Mapped[str | None] = mapped_column(Text)
    customer_reference: Mapped[str | None] = mapped_column(Text)
    renews_at: Mapped[datetime.datetime | None]
    subscription_status_at: Mapped[datetime.datetime | None]
    ended_at: Mapped[datetime.datetime | None]
    cancel_requested_at: Mapped[datetime.datetime | None]
    pending_amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    pending_frequency: Mapped[Frequency | None] = mapped_column(StringEnum(Frequency))
    anchored_at: Mapped[datetime.datetime | None]
    pause_requested_at: Mapped[datetime.datetime | None]
    pending_resumes_at: Mapped[datetime.datetime | None]
    checkout_completed_at: Mapped[datetime.datetime | None]
    payment_bounced_at: Mapped[datetime.datetime | None]
    settled_outside_at: Mapped[datetime.datetime | None]
    cancel_at: Mapped[datetime.datetime | None]
    is_paused: Mapped[bool] = mapped_column(default=False, server_default=false())
    resumes_at: Mapped[datetime.datetime | None]
    subscription_state: Mapped[str | None] = mapped_column(String(64))
    previous_subscription_state: Mapped[str | None] = mapped_column(String(64))
    open_invoice_reference: Mapped[str | None] = mapped_column(Text)
    open_invoice_url: Mapped[str | None] = mapped_column(INVOICE_URL_TYPE)
    open_invoice_at: Mapped[datetime.datetime | None]
    action_required_at: Mapped[datetime.datetime | None]
    payment_method_changed_at: Mapped[datetime.datetime | None]
    invoice_retry_requested_at: Mapped[datetime.datetime | None]
    erased_at: Mapped[datetime.datetime | None]
    created_at: Mapped[datetime.datetime]

    campaign: Mapped[Campaign] = relationship()
    supporter: Mapped[Supporter | None] = relationship()


class PledgeStatusChange(Base):
    """One change of a pledge's status. Rows are only ever added; they are looked up by pledge."""

    __tablename__ = "pledge_status_changes"

    pledge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("pledges.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    event: Mapped[str] = mapped_column(String(32))
    from_status: Mapped[PledgeStatus | None] = mapped_column(StringEnum(PledgeStatus))
    to_status: Mapped[PledgeStatus] = mapped_column(StringEnum(PledgeStatus))
    at: Mapped[datetime.datetime]


class IdempotencyKey(Base):
    """The SHA-256 of a client's idempotency key, and the pledge that its first request created.

    The first request locks the key until `locked_until`. After that a repeated request may complete the checkout.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    key_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    pledge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("pledges.id", ondelete="CASCADE"))
    locked_until: Mapped[datetime.datetime]
    created_at: Mapped[datetime.datetime]


class FormerSubscription(Base):
    """A subscription that another one replaced; late events about it still belong to the pledge."""

    __tablename__ = "former_subscriptions"
    __table_args__ = (Index("ix_former_subscriptions_pledge_id", "pledge_id"),)

    gateway: Mapped[str] = mapped_column(String(32), primary_key=True)
    reference: Mapped[str] = mapped_column(Text, primary_key=True)
    pledge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("pledges.id", ondelete="CASCADE"))
    replaced_at: Mapped[datetime.datetime]


class Installation(Base):
    """The one row that identifies this installation; the gateway stores its `id` beside the id of each pledge.

    With it, two installations that share one account at a gateway tell their events apart. `demo_slug` is the
    campaign that the demo article shows, if staff installed the demo.

    `database_identity` is that of the database that workers use (see `service.db.identity`), which was confirmed
    at `checked_at`. Emails about what happened before `sent_before` may have been sent before a restore.
    """

    __tablename__ = "installations"
    __table_args__ = (CheckConstraint("number = 1", name="only_one"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[uuid.UUID]
    demo_slug: Mapped[str | None] = mapped_column(String(64))
    database_identity: Mapped[str | None] = mapped_column(String(100))
    sent_before: Mapped[datetime.datetime | None]
    checked_at: Mapped[datetime.datetime | None]
