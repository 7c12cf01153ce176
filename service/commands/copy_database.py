"""`mainstay copy-database`: SQLite to PostgreSQL, and back."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import click
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from service.commands.context import pluralise
from service.commands.database_errors import explain_database_error
from service.db.clock import utc_now
from service.db.copying import CopyError, TableSummary
from service.db.copying import copy_database as copy_all
from service.db.keyring import Keyring
from service.db.migration import MigrationError, explained_errors, migrate
from service.db.schema import SchemaStatus, inspect_schema
from service.db.session import Database, create_database_engine
from service.domain.monitoring.job_runs import HEARTBEAT_TIMEOUT
from service.domain.monitoring.restore_guard import has_own_identity, take_identity
from service.domain.monitoring.summary import last_heartbeat
from service.settings import Settings, database_url, read_settings, sqlite_path


@click.command("copy-database")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--while-running", is_flag=True, help="Copy although a worker uses FROM; what it does later is lost."
)
def copy_database(source: str, target: str, while_running: bool) -> None:
    """Copy the database FROM into the empty database TO.

    The two are compared afterwards.

    Both are URLs as in DATABASE_URL, such as sqlite:///var/mainstay.db and postgresql://user:password@host/name.
    Stop web and worker first. TO is migrated if it is empty. Afterwards, set DATABASE_URL to it and keep
    SECRET_KEYS: what is encrypted is copied as it is.
    """
    settings = read_settings(allow_short_old_keys=True)
    source, target = database_url(source, setting_name="FROM"), database_url(target, setting_name="TO")
    path, target_path = sqlite_path(source), sqlite_path(target)
    if path is not None and not path.exists():
        raise click.ClickException(f"FROM names {path}, which does not exist.")
    is_same_file = path is not None and target_path is not None and path.resolve() == target_path.resolve()
    if is_same_file or make_url(source) == make_url(target):
        raise click.ClickException("FROM and TO are the same database; name an empty one as TO.")
    engines = _engine(settings, source), _engine(settings, target)
    try:
        with _explained_errors("FROM", source):
            _require_usable_source(engines[0], while_running=while_running)
        with _explained_errors("TO", target):
            _migrate_target(engines[1])
        copied = copy_all(*engines, on_progress=_show_progress)
        if not while_running:
            _move_identity(*engines)
    except CopyError as error:
        raise click.ClickException(str(error)) from error
    finally:
        for engine in engines:
            engine.dispose()
    _report(copied)


def _engine(settings: Settings, url: str) -> Engine:
    try:
        return create_database_engine(replace(settings, database_url=url), Keyring(settings.secret_keys))
    except OSError as error:
        raise click.ClickException(f"TO is in a folder that cannot be made: {error.strerror}.") from error


@contextmanager
def _explained_errors(name: str, url: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        sentence = explain_database_error(error, url)
        if sentence is None:
            raise
        raise click.ClickException(sentence.replace("DATABASE_URL", name)) from error


def _require_usable_source(engine: Engine, *, while_running: bool) -> None:
    if inspect_schema(engine).status != SchemaStatus.CURRENT:
        raise click.ClickException(
            "FROM does not have the schema of this release: run mainstay migrate with DATABASE_URL set to it."
        )
    with Database(engine).read_only() as session:
        heartbeat_at = last_heartbeat(session)
    if heartbeat_at is not None and utc_now() - heartbeat_at < HEARTBEAT_TIMEOUT and not while_running:
        raise click.ClickException(
            "A worker uses FROM, and what it does after the copy would be lost: stop web and worker, wait "
            f"{int(HEARTBEAT_TIMEOUT.total_seconds())} seconds, and run this again."
        )


def _move_identity(source: Engine, target: Engine) -> None:
    """Let workers use the copy if they used the original, and would not take it for a restored backup."""
    with Database(source).read_only() as session:
        if not has_own_identity(session):
            return
    with Database(target).transaction() as session:
        take_identity(session)


def _migrate_target(engine: Engine) -> None:
    try:
        with explained_errors():
            found = migrate(engine)
    except MigrationError as error:
        raise click.ClickException(f"TO cannot be used. {error}") from error
    if found.status == SchemaStatus.NEWER:
        raise click.ClickException("TO has the schema of a newer release; name an empty database.")


def _show_progress(table: str, copied: int, total: int) -> None:
    if sys.stderr.isatty() or copied == total:
        click.echo(f"{table}: {copied:,} of {total:,}", err=True)


def _report(copied: dict[str, TableSummary]) -> None:
    rows, tables = sum(summary.rows for summary in copied.values()), len(copied)
    click.echo(
        f"Copied {pluralise(rows, 'row')} of {pluralise(tables, 'table')}; counts and contents are equal. Set "
        "DATABASE_URL to the new database, and keep SECRET_KEYS."
    )
