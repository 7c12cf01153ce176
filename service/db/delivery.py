"""What was said about each mail that left, or was about to."""

import datetime
import uuid

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from schemas.vocabulary import DeliveryOutcome
from service.db.base import Base
from service.db.types import StringEnum, enum_check


class EmailDelivery(Base):
    """One mail: written before it leaves, and completed after the mail server's final reply.

    There is one for each occurrence of a reminder, and the Message-ID follows from the two. `attempts` counts how
    often it was about to leave; `reply` is what the server said, without an address; `lease_number` says whose it
    is.
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
    reply: Mapped[str | None] = mapped_column(Text)
    began_at: Mapped[datetime.datetime]
    ended_at: Mapped[datetime.datetime | None]
