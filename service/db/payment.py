"""Money that moved, or failed to, for a pledge."""

import datetime
import uuid

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from schemas.vocabulary import PaymentStatus
from service.db.base import Base, WithId
from service.db.types import Word, one_of


class Payment(WithId, Base):
    """One attempt to move money; unique by the gateway's own reference, so a repeated report counts once."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        one_of("status", PaymentStatus, name="status_known"),
        UniqueConstraint("gateway", "gateway_reference"),
        Index("ix_payments_pledge_id", "pledge_id"),
    )

    pledge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("pledges.id"))
    status: Mapped[PaymentStatus] = mapped_column(Word(PaymentStatus))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    gateway: Mapped[str] = mapped_column(String(32))
    gateway_reference: Mapped[str] = mapped_column(Text)
    paid_at: Mapped[datetime.datetime]
