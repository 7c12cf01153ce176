"""Mails to whoever gives: receipts, payments that were missed, renewals, ends, and links to sign in."""

import datetime
import uuid

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    bindparam,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from schemas.vocabulary import DeliveryOutcome, NotificationKind, NotificationStatus
from service.db.base import Base, UUIDPrimaryKey
from service.db.types import StringEnum, enum_check


class Notification(UUIDPrimaryKey, Base):
    """One mail, and its own delivery record: the columns from `outcome` on mean what they mean in `deliveries`.

    `about` says in a few words of ours what it is about, such as a payment's id, so that nothing is told twice.
    """

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint("kind", "about"),
        enum_check("kind", NotificationKind, name="kind_known"),
        enum_check("status", NotificationStatus, name="status_known"),
        enum_check("outcome", DeliveryOutcome, name="outcome_known"),
        Index(
            "ix_notices_due",
            "due_at",
            "id",
            postgresql_where=text("status = 'scheduled'"),
            sqlite_where=text("status = 'scheduled'"),
        ),
        Index(
            "ix_notices_leased",
            "leased_until",
            postgresql_where=text("status = 'sending'"),
            sqlite_where=text("status = 'sending'"),
        ),
        Index("ix_notices_pledge_id", "pledge_id"),
        Index("ix_notices_supporter_id", "supporter_id"),
        Index("ix_notices_payment_id", "payment_id"),
        Index("ix_notices_sign_in_id", "sign_in_id"),
    )

    kind: Mapped[NotificationKind] = mapped_column(StringEnum(NotificationKind))
    about: Mapped[str] = mapped_column(Text)
    supporter_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("supporters.id", ondelete="CASCADE"))
    pledge_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("pledges.id", ondelete="CASCADE"))
    payment_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("payments.id", ondelete="CASCADE"))
    sign_in_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("sign_ins.id", ondelete="CASCADE"))
    falls_on: Mapped[datetime.date | None]
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
    reply: Mapped[str | None] = mapped_column(Text)
    began_at: Mapped[datetime.datetime | None]
    ended_at: Mapped[datetime.datetime | None]


def status_is(status: NotificationStatus) -> ColumnElement[bool]:
    """Return the condition that a notice stands here, with the word in the statement itself.

    Neither database can prove from a parameter that a partial index covers what is asked for.
    """
    word: BindParameter[NotificationStatus] = bindparam(
        None, status, type_=Notification.status.type, literal_execute=True, unique=True
    )
    return Notification.status == word
