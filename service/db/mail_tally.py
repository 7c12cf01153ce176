"""How many mails came to which end, ever."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base


class EmailCounter(Base):
    """One count that only grows, such as of the mails sent."""

    __tablename__ = "mail_tallies"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
