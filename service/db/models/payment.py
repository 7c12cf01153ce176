"""Payments, refunds, disputes and balance transactions, and the gateway events that report them."""

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
from sqlalchemy.orm import Mapped, mapped_column

from schemas.enums import DisputeStatus, EventStatus, Frequency, PaymentStatus, RefundStatus
from service.db.base import Base, UUIDPrimaryKey
from service.db.types import EncryptedText, StringEnum, enum_check

PAYLOAD_TYPE = EncryptedText("gateway_events.payload")


class Payment(UUIDPrimaryKey, Base):
    """One attempt to take money. The gateway's own reference is unique, so a repeated report counts once.

    `status` sums up its refunds and disputes. With `is_provisional` the amount is what a checkout asked for; its
    invoice says what was paid. How it was made is known only after a while, and never of old payments:
    `method_kind` and `method_brand` are the gateway's words. `frequency` is set once that of its pledge has
    changed since.
    """

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        enum_check("status", PaymentStatus, name="status_known"),
        enum_check("frequency", Frequency, name="frequency_known"),
        UniqueConstraint("gateway", "gateway_reference"),
        Index("ix_payments_pledge_id", "pledge_id"),
    )

    pledge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("pledges.id"))
    status: Mapped[PaymentStatus] = mapped_column(StringEnum(PaymentStatus))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    gateway: Mapped[str] = mapped_column(String(32))
    gateway_reference: Mapped[str] = mapped_column(Text)
    paid_at: Mapped[datetime.datetime]
    is_provisional: Mapped[bool] = mapped_column(default=False, server_default=false())
    method_kind: Mapped[str | None] = mapped_column(String(32))
    method_brand: Mapped[str | None] = mapped_column(String(32))
    method_last4: Mapped[str | None] = mapped_column(String(4))
    frequency: Mapped[Frequency | None] = mapped_column(StringEnum(Frequency))


class Refund(UUIDPrimaryKey, Base):
    """Money of a payment that returns to its supporter.

    A refund requested by staff is stored before the gateway is called, under the hash of its idempotency key, and
    gets its `gateway_reference` afterwards. A refund made at the gateway has one from the start. While
    `locked_until` lies ahead, a call to the gateway may be under way; once it is past, a call may have been made.
    `ended_at` is when the gateway reported that the refund failed or was cancelled.
    """

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        enum_check("status", RefundStatus, name="status_known"),
        UniqueConstraint("gateway_reference"),
        UniqueConstraint("request_hash"),
        Index("ix_refunds_payment_id", "payment_id"),
    )

    payment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("payments.id"))
    status: Mapped[RefundStatus] = mapped_column(StringEnum(RefundStatus))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    gateway_reference: Mapped[str | None] = mapped_column(Text)
    request_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime.datetime]
    locked_until: Mapped[datetime.datetime | None]
    ended_at: Mapped[datetime.datetime | None]


class Dispute(UUIDPrimaryKey, Base):
    """A payment contested by the card's holder, whose bank decides.

    `status_at` is the gateway's time of the report that the status comes from. `withheld_minor` is what the bank
    withdrew and did not return, in the payment's currency: the sum of the dispute's balance transactions as far as
    they are known, else what the status says of `amount_minor`. `reason` is the gateway's word for it.
    """

    __tablename__ = "disputes"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("withheld_minor >= 0", name="withheld_not_negative"),
        enum_check("status", DisputeStatus, name="status_known"),
        UniqueConstraint("gateway_reference"),
        Index("ix_disputes_payment_id", "payment_id"),
    )

    payment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("payments.id"))
    status: Mapped[DisputeStatus] = mapped_column(StringEnum(DisputeStatus))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    gateway_reference: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime.datetime]
    withheld_minor: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    reason: Mapped[str | None] = mapped_column(Text)
    status_at: Mapped[datetime.datetime | None]


class FraudWarning(UUIDPrimaryKey, Base):
    """A warning of the card's issuer that a payment may be fraudulent, which often precedes a dispute.

    `kind` is the gateway's word for the suspected fraud.
    """

    __tablename__ = "fraud_warnings"
    __table_args__ = (UniqueConstraint("gateway_reference"), Index("ix_fraud_warnings_payment_id", "payment_id"))

    payment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("payments.id"))
    gateway_reference: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(64))
    warned_at: Mapped[datetime.datetime]


class BalanceTransaction(UUIDPrimaryKey, Base):
    """A movement of the newsroom's balance by a payment, refund or dispute, in the currency of that balance.

    `kind` is the gateway's type of it, and `occurred_at` the time there. `fee_minor` is the gateway's fee.
    `net_minor` is the gross amount less the fee, negative for an outflow. The gateway's references tell which
    charge, and which refund or dispute of it, moved the balance.
    """

    __tablename__ = "balance_transactions"
    __table_args__ = (
        UniqueConstraint("gateway_reference"),
        Index("ix_balance_transactions_payment_id", "payment_id"),
        Index("ix_balance_transactions_charge_reference", "charge_reference"),
        Index("ix_balance_transactions_dispute_reference", "dispute_reference"),
    )

    payment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("payments.id"))
    gateway_reference: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(64), server_default="charge")
    occurred_at: Mapped[datetime.datetime | None]
    gross_minor: Mapped[int] = mapped_column(BigInteger)
    fee_minor: Mapped[int] = mapped_column(BigInteger)
    net_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    charge_reference: Mapped[str | None] = mapped_column(Text)
    refund_reference: Mapped[str | None] = mapped_column(Text)
    dispute_reference: Mapped[str | None] = mapped_column(Text)


class BalanceCursor(Base):
    """The instant until which a gateway's balance transactions were listed, and the newest payment before that."""

    __tablename__ = "balance_cursors"

    gateway: Mapped[str] = mapped_column(String(32), primary_key=True)
    listed_until: Mapped[datetime.datetime]
    newest_payment_id: Mapped[uuid.UUID | None]


class GatewayEvent(UUIDPrimaryKey, Base):
    """An event of a payment gateway, stored as received until it is applied and for a retention period after.

    It is identified by the gateway's own `reference`. The payload is encrypted, because it names supporters.
    `occurred_at` is the time at the gateway. A worker that claims an event first moves `next_attempt_at` forward,
    so that no other worker claims it, and so that it is retried if the worker crashes. `addresses_hashed` is false
    where the release before stored the event, without `GatewayEventAddress`. `redacted_at` is when an
    erasure removed the personal data of an event that was not applied yet.
    """

    __tablename__ = "gateway_events"
    __table_args__ = (
        UniqueConstraint("gateway", "reference"),
        enum_check("status", EventStatus, name="status_known"),
        Index(
            "ix_gateway_events_open",
            "next_attempt_at",
            postgresql_where=text("status IN ('received', 'waiting')"),
            sqlite_where=text("status IN ('received', 'waiting')"),
        ),
        Index(
            "ix_gateway_events_parked",
            "kind",
            postgresql_where=text("status = 'parked'"),
            sqlite_where=text("status = 'parked'"),
        ),
        Index("ix_gateway_events_received_at", "received_at"),
        Index("ix_gateway_events_pledge_id", "pledge_id"),
        Index(
            "ix_gateway_events_unhashed",
            "id",
            postgresql_where=text("NOT addresses_hashed"),
            sqlite_where=text("NOT addresses_hashed"),
        ),
    )

    gateway: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(128))
    payload: Mapped[str | None] = mapped_column(PAYLOAD_TYPE)
    addresses_hashed: Mapped[bool] = mapped_column(server_default=false())
    redacted_at: Mapped[datetime.datetime | None]
    source: Mapped[str] = mapped_column(String(32))
    status: Mapped[EventStatus] = mapped_column(StringEnum(EventStatus))
    reason: Mapped[str | None] = mapped_column(Text)
    pledge_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("pledges.id", ondelete="SET NULL"))
    attempts: Mapped[int] = mapped_column(default=0)
    occurred_at: Mapped[datetime.datetime]
    received_at: Mapped[datetime.datetime]
    next_attempt_at: Mapped[datetime.datetime]
    applied_at: Mapped[datetime.datetime | None]


class GatewayEventAddress(Base):
    """The keyed hash of an email address in an event's payload, by which an erasure finds the payload."""

    __tablename__ = "gateway_event_addresses"
    __table_args__ = (Index("ix_gateway_event_addresses_email_hash", "email_hash"),)

    event_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("gateway_events.id", ondelete="CASCADE"), primary_key=True
    )
    email_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)


class ReconciliationCursor(Base):
    """The instant until which a gateway's own list of events was compared with the events received."""

    __tablename__ = "reconciliations"

    gateway: Mapped[str] = mapped_column(String(32), primary_key=True)
    reconciled_until: Mapped[datetime.datetime]
