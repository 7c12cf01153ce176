"""INSERT … ON CONFLICT, with which PostgreSQL and SQLite handle a row that exists already.

The statements of the hot paths are cached for each table, because building one takes longer than running it.
"""

import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.db.base import Base

_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def dialect_insert(session: Session, table: type[Base]) -> Any:
    """Return an INSERT into `table` that has `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return _INSERTS[session.get_bind().dialect.name](table)


@cache
def insert_into(database: str, table: type[Base]) -> Any:
    """Return the same for a `database` by the name of its dialect, for a statement that is built once."""
    return _INSERTS[database](table.__table__)


def execute_insert(session: Session, table: type[Base], row: Mapping[str, Any]) -> None:
    """Insert a row immediately, without waiting for a flush of the session."""
    connection = session.connection()
    connection.execute(insert_into(connection.dialect.name, table), row)


def insert_on_conflict_do_nothing(
    session: Session, table: type[Base], row: Mapping[str, Any], *, unique: tuple[str, ...]
) -> bool:
    """Insert a row unless one with the same `unique` columns exists; return whether it was inserted."""
    connection = session.connection()
    return (
        connection.execute(_do_nothing_statement(connection.dialect.name, table, unique), row).first() is not None
    )


def insert_or_lock(session: Session, table: type[Base], row: Mapping[str, Any], *, unique: str) -> uuid.UUID:
    """Insert a row, or lock the one with the same `unique` column until the transaction ends; return its id."""
    connection = session.connection()
    row_id: uuid.UUID = connection.execute(
        _lock_statement(connection.dialect.name, table, unique), row
    ).scalar_one()
    return row_id


@cache
def _do_nothing_statement(database: str, table: Any, unique: tuple[str, ...]) -> Any:
    statement = insert_into(database, table).on_conflict_do_nothing(index_elements=unique)
    return statement.returning(table.__table__.c.id)


@cache
def _lock_statement(database: str, table: Any, unique: str) -> Any:
    statement = insert_into(database, table)
    # Updating the column to its present value changes nothing, but locks the row and returns its id.
    unchanged = {unique: statement.excluded[unique]}
    return statement.on_conflict_do_update(index_elements=[unique], set_=unchanged).returning(table.__table__.c.id)
