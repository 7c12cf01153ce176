"""Many values as one parameter: an array on PostgreSQL.

With a parameter for each, SQLAlchemy and the driver spend more on the statement of a batch than the database does.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, any_, bindparam, column, func, insert, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.db.base import Base


def is_one_of(
    session: Session, values_of: InstrumentedAttribute[Any], values: Collection[Any]
) -> ColumnElement[bool]:
    """Return the condition that a column has one of these values."""
    if not _is_postgresql(session):
        return values_of.in_(values)
    return values_of == any_(bindparam(None, list(values), type_=ARRAY(values_of.type), unique=True))


def insert_rows(
    session: Session, table: type[Base], rows: Sequence[tuple[Any, ...]], *, names: tuple[str, ...], **shared: Any
) -> None:
    """Insert rows that have values for the columns `names`, and for all others the `shared` ones.

    Column defaults of the models are not applied.
    """
    if not rows:
        return
    constants = tuple(sorted(shared))
    if not _is_postgresql(session):
        session.connection().execute(
            insert(table.__table__),  # type: ignore[arg-type]  # a mapped class has a Table
            [dict(zip(names, row, strict=True)) | shared for row in rows],
        )
        return
    arrays = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    session.connection().execute(_insert_from_arrays(table, names, constants), arrays | shared)


@cache
def _insert_from_arrays(table: Any, names: tuple[str, ...], constants: tuple[str, ...]) -> Any:
    types = {name: table.__table__.c[name].type for name in (*names, *constants)}
    arrays = (bindparam(name, type_=ARRAY(types[name])) for name in names)
    values = func.unnest(*arrays).table_valued(*(column(name) for name in names), name="given").render_derived()
    chosen = [values.c[name] for name in names] + [bindparam(name, type_=types[name]) for name in constants]
    return insert(table.__table__).from_select([*names, *constants], select(*chosen))


def _is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"
