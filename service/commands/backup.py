"""`mainstay backup`: a complete copy of the database while it is in use."""

import os
import shlex
import shutil
import sqlite3
import subprocess
import uuid
from contextlib import closing
from pathlib import Path

import click
from sqlalchemy.engine import URL, make_url

from service.db.clock import utc_now
from service.db.identity import backup_identity
from service.settings import read_settings, sqlite_path


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def backup(file: Path, force: bool) -> None:
    """Back up the database into FILE while it is in use.

    SQLite is copied by its backup interface; a copy of the file alone may lack what is in the -wal file beside
    it. PostgreSQL is dumped by pg_dump in its custom format, for pg_restore. The keys in SECRET_KEYS are not part
    of it: keep them elsewhere. After a restore, run mainstay restore-guard before a worker starts.
    """
    settings = read_settings(allow_short_old_keys=True)
    url = settings.migration_database_url or settings.database_url
    path = sqlite_path(url)
    if path is not None and path.exists() and file.exists() and path.samefile(file):
        raise click.ClickException(f"{file} is the database itself; choose another name.")
    if file.exists() and not force:
        raise click.ClickException(f"{file} exists; choose another name, or replace it with --force.")
    if not file.parent.is_dir():
        raise click.ClickException(f"The folder {file.parent} does not exist; create it, or choose another.")
    partial = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
    try:
        # It holds readers' addresses, even if encrypted.
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if path is None:
            _dump_postgres(make_url(url), file, partial)
        else:
            _copy_sqlite(path, partial)
        partial.replace(file)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}.") from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
            raise
        raise click.ClickException(f"{file} cannot be written: its disk is full.") from error
    finally:
        partial.unlink(missing_ok=True)
    click.echo(f"Wrote {file} ({file.stat().st_size:,} bytes).")


def _copy_sqlite(path: Path, file: Path) -> None:
    if not path.exists():
        raise click.ClickException(f"There is no database {path} yet: run mainstay migrate.")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(file)) as target:
        # In one step: between two, a process that writes would make it begin again.
        source.backup(target)
        # Without a -wal file, the copy is this one file.
        target.execute("PRAGMA journal_mode = DELETE")
        _mark_as_backup(target)
        if target.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise click.ClickException("The copy is damaged, and so may be the database; check the disk.")


def _mark_as_backup(copy: sqlite3.Connection) -> None:
    """Give the copy another identity, by which a worker recognises that it was restored."""
    columns = {row[1] for row in copy.execute("PRAGMA table_info(installations)")}
    if "database_identity" not in columns:
        return
    with copy:
        copy.execute("INSERT OR IGNORE INTO installations (number, id) VALUES (1, ?)", (uuid.uuid4().hex,))
        copy.execute("UPDATE installations SET database_identity = ?", (backup_identity(utc_now()),))


def _dump_postgres(url: URL, name: Path, file: Path) -> None:
    program = shutil.which("pg_dump")
    password = url.password or url.query.get("password")
    # The password is not for the list of processes.
    public = url.set(drivername="postgresql")._replace(password=None).difference_update_query(["password"])
    arguments = ["--format=custom", "--no-owner", f"--dbname={public.render_as_string()}"]
    if program is None:
        command = shlex.join(["pg_dump", *arguments, f"--file={name}"])
        raise click.ClickException(
            "pg_dump is not on PATH; install PostgreSQL's client programs and run this again, or run "
            f"{command} where they are."
        )
    environment = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    arguments = [program, *arguments, f"--file={file}"]
    dump = subprocess.run(arguments, env=environment, stderr=subprocess.PIPE, check=False)  # noqa: S603 - the program on PATH
    if dump.returncode:
        reason = (
            dump.stderr.decode(errors="replace")
            .strip()
            .partition("\n")[0]
            .removeprefix("pg_dump: error: ")
            .rstrip(".")
        )
        raise click.ClickException(f"pg_dump failed: {reason}.")
