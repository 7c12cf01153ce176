"""Signs of life."""

import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base


class Heartbeat(Base):
    """When a kind of process was last seen alive."""

    __tablename__ = "heartbeats"

    process: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[datetime.datetime]
