"""INSERT that says what to do when the row is already there; both databases know it under the same words."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.db.base import Base

_INSERTS = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert_into(session: Session, table: type[Base]) -> Any:
    """Return an INSERT into `table` that has `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return _INSERTS[session.get_bind().dialect.name](table)
