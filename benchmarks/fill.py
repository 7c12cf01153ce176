"""Fills a database with scheduled reminders: `python -m benchmarks.fill --rows 10000000 …`.

One transaction drops the indexes and foreign keys, loads each table with one COPY, and creates them again:
checking and sorting row by row would take longer.
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
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.supporter import Supporter
from service.settings import database_url
from tests.processes import KEYS

Progress = Callable[[str], None]

CHUNK = 20_000
MAX_CHUNKS_IN_PROCESS = 5
# A generous estimate from a measurement: rows and indexes of three tables, and their write-ahead log.
BYTES_PER_ROW = 1_500
COLUMNS = {
    Supporter.__tablename__: "id, email, email_hash, hash_version, created_at",
    Reminder.__tablename__: "id, campaign_id, supporter_id, status, occurrence, months, due_on, due_at, timezone, "
    "frequency, amount_minor, currency, page_url, lang, consent_version, asked_at",
    ReminderStatusChange.__tablename__: "reminder_id, id, occurrence, event, from_status, to_status, reason, at",
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


def fill(url: str, dataset: Dataset, secrets: tuple[str, ...], *, quiet: bool = False) -> None:
    """Store a scheduled reminder for each reader of the dataset, with its history.

    Raises:
        SystemExit: the database is not migrated or holds reminders already, or the disk is too small. Nothing is
            changed then.
    """
    report = _no_progress if quiet else _progress_since(time.perf_counter())
    with psycopg.connect(url) as connection:
        writer = Writer(dataset, _find_campaign(connection), secrets)
        _check_disk(connection, dataset.rows, report)
        connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
        dropped = _drop_indexes(connection)
        writers = (writer.supporters, writer.reminders, writer.reminder_status_changes)
        for table, write in zip(TABLES, writers, strict=True):
            _copy(connection, table, write, dataset.rows, report)
        for statement in dropped:
            connection.execute(statement)
        report(f"{len(dropped)} indexes and constraints created again")
    with psycopg.connect(url, autocommit=True) as connection:
        for table in TABLES:
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))
        # The next measurement must not include the writes that are left over from this one.
        connection.execute("CHECKPOINT")
        used = (connection.execute("SELECT pg_database_size(current_database())").fetchone() or [0])[0]
    report(f"{dataset.rows:,} reminders, {dataset.due:,} of them due; the database takes {used / 1e9:.2f} GB")


def _find_campaign(connection: psycopg.Connection) -> str:
    found = connection.execute("SELECT id FROM campaigns WHERE slug = 'default'").fetchone()
    if found is None:
        raise SystemExit("This database has no campaign 'default': migrate it first.")
    if connection.execute("SELECT 1 FROM reminders LIMIT 1").fetchone():
        raise SystemExit("This database holds reminders already: use one that is only for benchmarks.")
    return str(found[0])


def _check_disk(connection: psycopg.Connection, rows: int, report: Progress) -> None:
    """Report the free space on the database's disk, if it is on this machine, and stop if it is too little."""
    folder = (connection.execute("SHOW data_directory").fetchone() or [""])[0]
    if Path(folder).exists():
        free, needed = shutil.disk_usage(folder).free, rows * BYTES_PER_ROW
        report(f"{free / 1e9:.0f} GB of disk are free; {rows:,} rows need up to {needed / 1e9:.1f}")
        if free < needed:
            raise SystemExit("There is too little space on the disk: choose fewer --rows.")


def _drop_indexes(connection: psycopg.Connection) -> list[str]:
    """Drop indexes and foreign keys, and return the statements that create them again."""
    constraints = connection.execute(CONSTRAINTS, [list(TABLES)]).fetchall()
    indexes = connection.execute(INDEXES, [list(TABLES)]).fetchall()
    for table, name, _ in constraints:
        connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    statements = [
        f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}' for table, name, definition in constraints
    ]
    return statements + [definition for _, definition in indexes]


def _copy(
    connection: psycopg.Connection, table: str, write: Callable[[range], bytes], rows: int, report: Progress
) -> None:
    """Generate the rows in one process for each core, and send them in order to one COPY."""
    chunks = [range(first, min(first + CHUNK, rows)) for first in range(0, rows, CHUNK)]
    copied = 0
    with ExitStack() as stack:
        lines_of: Iterable[bytes] = map(write, chunks)
        if len(chunks) > MAX_CHUNKS_IN_PROCESS:
            # Starting a process takes a second, which is too long for a few chunks.
            lines_of = stack.enter_context(multiprocessing.get_context("spawn").Pool()).imap(write, chunks)
        copy = stack.enter_context(connection.cursor().copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN"))
        for chunk, lines in zip(chunks, lines_of, strict=True):
            copy.write(lines)
            copied += len(chunk)
            if copied % 1_000_000 == 0:
                report(f"{table}: {copied:,}")
    report(f"{table}: {copied:,} rows")


def _progress_since(begin: float) -> Progress:
    def report(message: str) -> None:
        print(f"{time.perf_counter() - begin:6.1f} s  {message}", file=sys.stderr, flush=True)

    return report


def _no_progress(_message: str) -> None:
    pass


def main() -> None:
    """Fill the database that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fill", description=__doc__)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--due", type=int, default=500, help="reminders that are due now (default: 500)")
    parser.add_argument("--clustered", action="store_true", help="place them side by side instead of scattered")
    parser.add_argument("--database-url", required=True, help="migrated, without reminders; its keys: SECRET_KEYS")
    options = parser.parse_args()
    url = database_url(options.database_url).replace("postgresql+psycopg://", "postgresql://", 1)
    due = {"clustered" if options.clustered else "scattered": options.due}
    dataset = Dataset(options.rows, datetime.datetime.now(datetime.UTC), **due)
    fill(url, dataset, tuple(os.environ.get("SECRET_KEYS", KEYS).split(",")))


if __name__ == "__main__":
    main()
