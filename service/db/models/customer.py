"""The changes of a supporter's address that were sent to the gateway's customers, or have yet to be."""

import datetime
import uuid

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base, UUIDPrimaryKey


class CustomerUpdate(UUIDPrimaryKey, Base):
    """The last change of address for one customer at the gateway; `completed_at` is when the gateway confirmed it.

    The address is that of the supporter at the time of the call. A newer change replaces the row by one with
    another `id`, which is the idempotency key of the call.
    """

    __tablename__ = "customer_updates"
    __table_args__ = (
        UniqueConstraint("gateway", "customer_reference"),
        Index("ix_customer_updates_supporter_id", "supporter_id"),
        Index(
            "ix_customer_updates_pending",
            "id",
            postgresql_where=text("completed_at IS NULL"),
            sqlite_where=text("completed_at IS NULL"),
        ),
    )

    supporter_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("supporters.id", ondelete="CASCADE"))
    gateway: Mapped[str] = mapped_column(String(32))
    customer_reference: Mapped[str] = mapped_column(Text)
    requested_at: Mapped[datetime.datetime]
    completed_at: Mapped[datetime.datetime | None]
