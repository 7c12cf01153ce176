"""What a gateway told us, kept as it came until it is applied and for a while after."""

import datetime
import uuid

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from schemas.vocabulary import EventStatus
from service.db.base import Base, UUIDPrimaryKey
from service.db.types import EncryptedText, StringEnum, enum_check

PAYLOAD_TYPE = EncryptedText("gateway_events.payload")


class GatewayEvent(UUIDPrimaryKey, Base):
    """One event, known by the gateway's own reference. The payload is encrypted, since it names readers.

    `occurred_at` is when it happened at the gateway. Whoever works on an event moves `retry_at` on first, so that
    nobody else does, and so that it comes up again if they never come back.
    """

    __tablename__ = "gateway_events"
    __table_args__ = (
        UniqueConstraint("gateway", "reference"),
        enum_check("status", EventStatus, name="status_known"),
        Index(
            "ix_gateway_events_open",
            "retry_at",
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
    retry_at: Mapped[datetime.datetime]
    applied_at: Mapped[datetime.datetime | None]


class ReconciliationCursor(Base):
    """How far what a gateway tells of itself was compared with what reached us."""

    __tablename__ = "reconciliations"

    gateway: Mapped[str] = mapped_column(String(32), primary_key=True)
    reconciled_until: Mapped[datetime.datetime]
