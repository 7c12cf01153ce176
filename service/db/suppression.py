"""Addresses that get no more mail."""

import datetime

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from schemas.vocabulary import SuppressionReason
from service.db.base import Base
from service.db.types import StringEnum, enum_check

ALL_CAMPAIGNS = "*"


class Suppression(Base):
    """An address, known only by its keyed hash, that gets no mail of one campaign (its slug) or of any (`*`)."""

    __tablename__ = "suppressions"
    __table_args__ = (enum_check("reason", SuppressionReason, name="reason_known"),)

    email_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[SuppressionReason] = mapped_column(StringEnum(SuppressionReason))
    at: Mapped[datetime.datetime]
