"""Erasures of supporters, kept until the payment gateway has done its part and late events have passed."""

import datetime
import uuid

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from schemas.enums import ErasureStatus
from service.db.base import Base, UUIDPrimaryKey
from service.db.types import EncryptedText, StringEnum, enum_check

ADDRESS_TYPE = EncryptedText("erasures.address")


class Erasure(UUIDPrimaryKey, Base):
    """A request to erase one supporter. The address is deleted with the supporter.

    `email_hash` is hashed as for suppressions and stays for `ERASURE_RETENTION`, because events from before the
    request may still arrive. `requested_by` names the staff token or the command line, or is `reader`. A worker
    that claims an erasure first moves `next_attempt_at` forward.
    """

    __tablename__ = "erasures"
    __table_args__ = (
        enum_check("status", ErasureStatus, name="status_known"),
        Index("ix_erasures_email_hash", "email_hash"),
        Index(
            "ix_erasures_requested",
            "next_attempt_at",
            postgresql_where=text("status = 'requested'"),
            sqlite_where=text("status = 'requested'"),
        ),
    )

    email_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    address: Mapped[str | None] = mapped_column(ADDRESS_TYPE)
    status: Mapped[ErasureStatus] = mapped_column(StringEnum(ErasureStatus))
    requested_by: Mapped[str] = mapped_column(String(200))
    requested_at: Mapped[datetime.datetime]
    next_attempt_at: Mapped[datetime.datetime]
    completed_at: Mapped[datetime.datetime | None]
    recurring_ended: Mapped[int] = mapped_column(default=0)
    found: Mapped[bool] = mapped_column(default=False)
    pledges: Mapped[int] = mapped_column(default=0)
    reminders: Mapped[int] = mapped_column(default=0)


class ErasureRequest(UUIDPrimaryKey, Base):
    """A supporter's wish to be erased, which a link by email confirms; the erasure then has the same id."""

    __tablename__ = "erasure_requests"
    __table_args__ = (
        Index("ix_erasure_requests_supporter_id", "supporter_id"),
        Index("ix_erasure_requests_requested_at", "requested_at"),
    )

    supporter_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("supporters.id", ondelete="CASCADE"))
    requested_at: Mapped[datetime.datetime]


class ErasedCustomer(Base):
    """A customer at the gateway whose personal data an erasure removes there.

    `redacted_at` is when name, email and description were removed, and `deleted_at` when the customer itself was,
    which waits for payments that are under way.
    """

    __tablename__ = "erased_customers"
    __table_args__ = (
        Index(
            "ix_erased_customers_next_attempt_at",
            "next_attempt_at",
            postgresql_where=text("deleted_at IS NULL"),
            sqlite_where=text("deleted_at IS NULL"),
        ),
    )

    erasure_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("erasures.id", ondelete="CASCADE"), primary_key=True)
    gateway: Mapped[str] = mapped_column(String(32), primary_key=True)
    customer_reference: Mapped[str] = mapped_column(Text, primary_key=True)
    next_attempt_at: Mapped[datetime.datetime]
    redacted_at: Mapped[datetime.datetime | None]
    deleted_at: Mapped[datetime.datetime | None]
