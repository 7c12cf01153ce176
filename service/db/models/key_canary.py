"""A known text under the secret keys, which shows whether a process has the right ones."""

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import EncryptedText

CANARY_TYPE = EncryptedText("key_canaries.canary")


class KeyCanary(Base):
    """The only row: a text that the first key of `SECRET_KEYS` encrypted when it was last rotated."""

    __tablename__ = "key_canaries"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    canary: Mapped[str] = mapped_column(CANARY_TYPE)
