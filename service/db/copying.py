"""Copies a database into another one, such as SQLite into PostgreSQL, and compares the two.

Values are copied as they are stored: encrypted columns are not decrypted, and ids and references stay the same. No
table has a sequence or an identity column.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Engine, LargeBinary, MetaData, String, Table, delete, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from service.db.models import Base
from service.db.models.key_canary import KeyCanary
from service.db.models.schema_compatibility import SchemaCompatibility
from service.db.session import READ_ONLY_OPTION
from service.db.types import EncryptedText, StringEnum

BATCH_ROWS = 1000
# `mainstay migrate` writes these rows, so an empty database has them too.
WRITTEN_BY_MIGRATE = (SchemaCompatibility.__tablename__, KeyCanary.__tablename__)
CHECKSUM_BITS = 256


class CopyError(Exception):
    """Nothing was copied; the message says in one sentence why and what to do."""


@dataclass(frozen=True)
class TableSummary:
    """The number of rows of a table and a checksum of their contents, in any order."""

    rows: int
    checksum: int


def copy_database(
    source: Engine, target: Engine, *, on_progress: Callable[[str, int, int], None] = lambda *_: None
) -> dict[str, TableSummary]:
    """Copy every row into the empty, migrated target in one transaction; return the summary of each table.

    The source is read as it is at one instant. `on_progress` gets the table, the rows copied, and their number.

    Raises:
        CopyError: the target has rows or refuses one, or the copy differs from the source.
    """
    tables = _stored_tables()
    with _snapshot(source) as reader, target.begin() as writer:
        _require_empty(writer, tables)
        for table in tables:
            if table.name in WRITTEN_BY_MIGRATE:
                writer.execute(delete(table))
            _copy_table(reader, writer, table, on_progress)
        copied = {table.name: summarise(writer, table) for table in tables}
        for table in tables:
            if summarise(reader, table) != copied[table.name]:
                raise CopyError(f"The copy of {table.name} differs from the original, so nothing was copied.")
    return copied


def summarise(connection: Connection, table: Table) -> TableSummary:
    """Count the rows of a table and sum up the SHA-256 of each."""
    rows = checksum = 0
    for row in connection.execution_options(yield_per=BATCH_ROWS).execute(select(table)):
        rows += 1
        digest = hashlib.sha256("\x1f".join(map(_canonical, row)).encode("utf-8", "surrogatepass")).digest()
        checksum += int.from_bytes(digest, "big")
    return TableSummary(rows, checksum % 2**CHECKSUM_BITS)


def _copy_table(
    reader: Connection, writer: Connection, table: Table, on_progress: Callable[[str, int, int], None]
) -> None:
    total, copied = reader.scalar(select(func.count()).select_from(table)) or 0, 0
    rows = reader.execution_options(yield_per=BATCH_ROWS).execute(select(table)).mappings()
    for batch in rows.partitions(BATCH_ROWS):
        try:
            writer.execute(table.insert(), [dict(row) for row in batch])
        except (DBAPIError, ValueError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            reason = str(cause).strip().partition("\n")[0].rstrip(".")
            raise CopyError(
                f"The new database refuses a row of {table.name}, so nothing was copied: {reason}."
            ) from error
        copied += len(batch)
        on_progress(table.name, copied, total)


def _require_empty(connection: Connection, tables: list[Table]) -> None:
    filled = [
        table.name
        for table in tables
        if table.name not in WRITTEN_BY_MIGRATE and connection.execute(select(table).limit(1)).first() is not None
    ]
    if filled:
        more = f" and {len(filled) - 3} more tables" if len(filled) > 3 else ""
        raise CopyError(
            f"The new database already has rows in {', '.join(filled[:3])}{more}, so nothing was copied: name an "
            "empty one."
        )


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that reads the database as it is now, whatever others write meanwhile."""
    with engine.connect() as connection:
        options: dict[str, Any] = {READ_ONLY_OPTION: True}
        if engine.dialect.name == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        yield connection.execution_options(**options)


def _stored_tables() -> list[Table]:
    """Return all tables, those first that others refer to, with the types in which their values are stored."""
    metadata = MetaData()
    return [
        Table(table.name, metadata, *(Column(column.name, _stored_type(column.type)) for column in table.columns))
        for table in Base.metadata.sorted_tables
    ]


def _stored_type(column_type: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(column_type, EncryptedText):
        return LargeBinary()
    if isinstance(column_type, StringEnum):
        return String()
    return column_type


def _canonical(value: object) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True)
    return repr(bytes(value)) if isinstance(value, (bytes, memoryview)) else repr(value)
