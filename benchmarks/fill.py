"""Fills a database with as many scheduled reminders as one likes: `python -m benchmarks.fill --rows 10000000 …`.

One COPY for each table. What would be checked or sorted row by row while it is loaded, indexes and foreign keys,
is taken away and built again at the end, as it was; all of that is one transaction.
"""

import argparse
import datetime
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.dataset import Dataset, Writer
from service.settings import database_url
from tests.processes import KEYS

Progress = Callable[[str], None]

CHUNK = 20_000
FEW_CHUNKS = 5
# Measured, with a good deal to spare: rows and indexes of three tables, and the log that they leave behind.
BYTES_A_ROW = 1_500
COLUMNS = {
    "supporters": "id, email, email_hash, created_at",
    "reminders": "id, campaign_id, supporter_id, status, occurrence, months, due_on, due_at, timezone, frequency, "
    "amount_minor, currency, page_url, lang, consent_version, asked_at, attempts, lease_number",
    "reminder_status_changes": "reminder_id, id, occurrence, event, from_status, to_status, reason, at",
}
TABLES = tuple(COLUMNS)
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid::regclass::text = ANY(%s) AND contype IN ('f', 'u') ORDER BY contype DESC, conname
"""
INDEXES = """
    SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
    WHERE i.indrelid::regclass::text = ANY(%s)
      AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""


def fill(url: str, dataset: Dataset, secrets: tuple[str, ...], *, quietly: bool = False) -> None:
    """Store a scheduled reminder for each reader of the crowd, with its history.

    The database must be migrated and hold no reminder; otherwise this stops with a sentence and changes nothing.
    """
    say = _no_progress if quietly else _from(time.perf_counter())
    with psycopg.connect(url) as connection:
        writer = Writer(dataset, _campaign(connection), secrets)
        _check_disk(connection, dataset.rows, say)
        connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
        kept = _drop_indexes(connection)
        for table in TABLES:
            _copy(connection, table, getattr(writer, table), dataset.rows, say)
        for statement in kept:
            connection.execute(statement)
        say(f"{len(kept)} indexes and constraints built again")
    with psycopg.connect(url, autocommit=True) as connection:
        for table in TABLES:
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))
        # Whoever measures next does not wait for what this has left to be written.
        connection.execute("CHECKPOINT")
        used = (connection.execute("SELECT pg_database_size(current_database())").fetchone() or [0])[0]
    say(f"{dataset.rows:,} reminders, {dataset.due:,} of them due; the database takes {used / 1e9:.2f} GB")


def _campaign(connection: psycopg.Connection) -> str:
    found = connection.execute("SELECT id FROM campaigns WHERE slug = 'default'").fetchone()
    if found is None:
        raise SystemExit("There is no campaign 'default' here: migrate the database first.")
    if connection.execute("SELECT 1 FROM reminders LIMIT 1").fetchone():
        raise SystemExit("This database holds reminders already: name one that is only for measuring.")
    return str(found[0])


def _check_disk(connection: psycopg.Connection, rows: int, say: Progress) -> None:
    """Say what is free where the database lies, if that is on this machine, and stop if it is too little."""
    folder = (connection.execute("SHOW data_directory").fetchone() or [""])[0]
    if Path(folder).exists():
        free, needed = shutil.disk_usage(folder).free, rows * BYTES_A_ROW
        say(f"{free / 1e9:.0f} GB of disk are free, {rows:,} rows need up to {needed / 1e9:.1f}")
        if free < needed:
            raise SystemExit("That is not enough: ask for fewer --rows.")


def _drop_indexes(connection: psycopg.Connection) -> list[str]:
    """Drop what is slow to keep up, and return the statements that build it again."""
    constraints = connection.execute(CONSTRAINTS, [list(TABLES)]).fetchall()
    indexes = connection.execute(INDEXES, [list(TABLES)]).fetchall()
    for table, name, _ in constraints:
        connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    again = [
        f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}' for table, name, definition in constraints
    ]
    return again + [definition for _, definition in indexes]


def _copy(
    connection: psycopg.Connection, table: str, write: Callable[[range], bytes], rows: int, say: Progress
) -> None:
    """Write the rows in as many processes as there are cores, and hand them to one COPY in their order."""
    chunks = [range(first, min(first + CHUNK, rows)) for first in range(0, rows, CHUNK)]
    copied = 0
    with ExitStack() as stack:
        lines_of: Iterable[bytes] = map(write, chunks)
        if len(chunks) > FEW_CHUNKS:
            # A process takes a second to start.
            lines_of = stack.enter_context(multiprocessing.get_context("spawn").Pool()).imap(write, chunks)
        copy = stack.enter_context(connection.cursor().copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN"))
        for chunk, lines in zip(chunks, lines_of, strict=True):
            copy.write(lines)
            copied += len(chunk)
            if copied % 1_000_000 == 0:
                say(f"{table}: {copied:,}")
    say(f"{table}: all {copied:,}")


def _from(begin: float) -> Progress:
    def say(what: str) -> None:
        print(f"{time.perf_counter() - begin:6.1f} s  {what}", file=sys.stderr, flush=True)

    return say


def _no_progress(_what: str) -> None:
    pass


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fill", description=__doc__)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--due", type=int, default=500, help="how many are due now (default 500)")
    parser.add_argument("--beside", action="store_true", help="lay those due side by side, and not scattered")
    parser.add_argument("--database-url", required=True, help="migrated, without reminders; its keys: SECRET_KEYS")
    options = parser.parse_args()
    url = database_url(options.database_url).replace("postgresql+psycopg://", "postgresql://", 1)
    due = {"beside" if options.beside else "scattered": options.due}
    dataset = Dataset(options.rows, datetime.datetime.now(datetime.UTC), **due)
    fill(url, dataset, tuple(os.environ.get("SECRET_KEYS", KEYS).split(",")))


if __name__ == "__main__":
    main()
