"""What a gateway told us, kept as it came until it is applied and for a while after."""

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
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from schemas.enums import DisputeStatus, EventStatus, PaymentStatus, RefundStatus
from service.db.base import Base, UUIDPrimaryKey
from service.db.types import EncryptedText, StringEnum, enum_check

PAYLOAD_TYPE = EncryptedText("gateway_events.payload")


class GatewayEvent(UUIDPrimaryKey, Base):
    """One event, known by the gateway's own reference. The payload is encrypted, since it names readers.

    `occurred_at` is when it happened at the gateway. Whoever works on an event moves `next_attempt_at` on first,
    so that nobody else does, and so that it comes up again if they never come back.
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
        Index("ix_gateway_events_received_at", "received_at"),
        Index("ix_gateway_events_pledge_id", "pledge_id"),
    )

    gateway: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(128))
    payload: Mapped[str | None] = mapped_column(PAYLOAD_TYPE)
    source: Mapped[str] = mapped_column(String(32))
    status: Mapped[EventStatus] = mapped_column(StringEnum(EventStatus))
    reason: Mapped[str | None] = mapped_column(Text)
    pledge_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("pledges.id", ondelete="SET NULL"))
    attempts: Mapped[int] = mapped_column(default=0)
    occurred_at: Mapped[datetime.datetime]
    received_at: Mapped[datetime.datetime]
    next_attempt_at: Mapped[datetime.datetime]
    applied_at: Mapped[datetime.datetime | None]


class ReconciliationCursor(Base):
    """How far what a gateway tells of itself was compared with what reached us."""

    __tablename__ = "reconciliations"

    gateway: Mapped[str] = mapped_column(String(32), primary_key=True)
    reconciled_until: Mapped[datetime.datetime]


class Payment(UUIDPrimaryKey, Base):
    """One attempt to move money; unique by the gateway's own reference, so a repeated report counts once.

    `status` says what its refunds and disputes add up to.
    """

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        enum_check("status", PaymentStatus, name="status_known"),
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


class Refund(UUIDPrimaryKey, Base):
    """Money of a payment that goes back to its reader.

    One that staff ask for is written down before the gateway is called, under the hash of the key that makes
    asking twice harmless; the gateway's own reference follows. One that was made at the gateway begins with that.
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


class Dispute(UUIDPrimaryKey, Base):
    """A payment that its card's holder denies: the bank takes the money back until it decides."""

    __tablename__ = "disputes"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
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


class BalanceTransaction(UUIDPrimaryKey, Base):
    """What one movement did to the newsroom's balance at the gateway, in the currency that the balance is kept in.

    `fee_minor` is the gateway's share; `net_minor` is what stays, negative where money left.
    """

    __tablename__ = "balance_transactions"
    __table_args__ = (
        UniqueConstraint("gateway_reference"),
        Index("ix_balance_transactions_payment_id", "payment_id"),
    )

    payment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("payments.id"))
    gateway_reference: Mapped[str] = mapped_column(Text)
    gross_minor: Mapped[int] = mapped_column(BigInteger)
    fee_minor: Mapped[int] = mapped_column(BigInteger)
    net_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
