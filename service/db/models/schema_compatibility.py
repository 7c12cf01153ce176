"""Which older releases may run on this schema."""

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base


class SchemaCompatibility(Base):
    """The one row: the oldest revision whose release can run on this schema; None if any can."""

    __tablename__ = "schema_compatibility"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    oldest_revision: Mapped[str | None] = mapped_column(String(32))
