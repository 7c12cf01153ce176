"""Changes the constraints of a SQLite table, which ALTER TABLE cannot: a new table is created and renamed.

These are the steps of SQLite's documentation (lang_altertable.html, section 7). They need foreign keys to be off,
which `service.db.migration` ensures before the transaction begins.
"""

from alembic import op
from sqlalchemy import text


def replace_in_table(table: str, old: str, new: str) -> None:
    """Rebuild a table with one part of its definition replaced; rows and indexes stay.

    Raises:
        ValueError: the definition does not contain `old`.
    """
    connection = op.get_bind()
    parts = connection.execute(
        text("SELECT type, sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL"), {"table": table}
    ).all()
    definition = next(sql for kind, sql in parts if kind == "table")
    if old not in definition:
        raise ValueError(f"the definition of {table} does not contain {old}")
    _, _, body = definition.partition("(")
    op.execute(text(f"CREATE TABLE new_{table} ({body.replace(old, new)}".replace(":", "\\:")))
    op.execute(f"INSERT INTO new_{table} SELECT * FROM {table}")  # nosec B608  # noqa: S608 - the migration gives the name
    op.execute(f"DROP TABLE {table}")
    op.execute(f"ALTER TABLE new_{table} RENAME TO {table}")
    for kind, sql in parts:
        if kind == "index":
            op.execute(text(sql.replace(":", "\\:")))
