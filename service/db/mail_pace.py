"""When the next mail may leave, for all workers together."""

import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base


class SendRateLimit(Base):
    """The first instant that no worker has taken for a mail yet; one row for the one mail server."""

    __tablename__ = "mail_pace"

    server: Mapped[str] = mapped_column(String(300), primary_key=True)
    free_from: Mapped[datetime.datetime]
