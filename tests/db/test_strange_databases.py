"""`mainstay migrate` and the start of a process on a newer, locked or somebody else's database."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import Result
from sqlalchemy import create_engine, inspect, text

from service.db import migration
from service.db.schema import head_revisions
from tests.cli import assert_cli_error, run_cli
from tests.conftest import make_database
from tests.processes import ROOT, environment, free_port

STARTS = ("serve", "worker")


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def assert_refused(result: Result, *expected: str) -> None:
    """Check that a command failed with one sentence and without advice that does not help."""
    assert_cli_error(result, *expected)
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.exit_code == 1


def migrated(url: str) -> str:
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    return url


def start(command: str, url: str) -> tuple[int | None, str]:
    """Start a process and return its exit code and output; None if it was still running after it had started."""
    env = environment(url, PORT=str(free_port()), WEB_CONCURRENCY="1", LOG_LEVEL="info")
    process = subprocess.Popen(
        [sys.executable, "-m", "service", command],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if "worker_started" in line or "Listening at" in line:
            process.terminate()
            process.communicate(timeout=60)
            return None, "".join(lines)
    return process.wait(timeout=60), "".join(lines)


def test_newer_compatible_database_is_left_alone(empty_url: str) -> None:
    migrated(empty_url)
    execute(empty_url, "UPDATE alembic_version SET version_num = '9999'")
    for _ in range(2):
        result = run_cli("migrate", DATABASE_URL=empty_url)
        assert result.exit_code == 0, result.output
        assert "newer release" in result.output
        assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize("command", STARTS)
def test_process_starts_on_newer_compatible_database(sqlite_url: str, command: str) -> None:
    (head,) = head_revisions()
    execute(
        sqlite_url,
        "UPDATE alembic_version SET version_num = '9999'",
        f"UPDATE schema_compatibility SET oldest_revision = '{head}'",
    )
    code, output = start(command, sqlite_url)
    assert code is None, output


def test_newer_incompatible_database_is_refused(empty_url: str) -> None:
    migrated(empty_url)
    execute(
        empty_url,
        "UPDATE alembic_version SET version_num = '9999'",
        "UPDATE schema_compatibility SET oldest_revision = '9998'",
    )
    assert_refused(run_cli("migrate", DATABASE_URL=empty_url), "newer release", "9999")
    for command in STARTS:
        result = run_cli(command, DATABASE_URL=empty_url)
        assert_refused(result, "newer release", "9999")
        assert "run mainstay migrate" not in result.stderr


def test_database_of_another_application_is_refused(empty_url: str) -> None:
    execute(
        empty_url,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('ae1027a6acf')",
        "CREATE TABLE customers (id INTEGER PRIMARY KEY)",
        "CREATE TABLE orders (id INTEGER PRIMARY KEY)",
    )
    before = tables(empty_url)
    for command in ("migrate", *STARTS):
        assert_refused(
            run_cli(command, DATABASE_URL=empty_url), "customers", "orders", "ae1027a6acf", "--into-existing"
        )
    assert tables(empty_url) == before
    for _ in range(2):
        assert run_cli("migrate", "--into-existing", DATABASE_URL=empty_url).exit_code == 0
    assert tables(empty_url) > before
    # The record of the other application is as it was, and ours is found from now on.
    engine = create_engine(empty_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "ae1027a6acf"
    engine.dispose()
    result = run_cli("migrate", DATABASE_URL=empty_url)
    assert result.exit_code == 0, result.output
    assert run_cli("campaign", "show", DATABASE_URL=empty_url).exit_code == 0


@pytest.mark.parametrize("number", [1, 2, 3, 4, 40])
def test_tables_of_others_are_refused_and_named(empty_url: str, number: int) -> None:
    execute(empty_url, *(f"CREATE TABLE wp_{index:02} (id INTEGER)" for index in range(number)))
    result = run_cli("migrate", DATABASE_URL=empty_url)
    assert_refused(result, "wp_00", "--into-existing")
    assert ("more" in result.stderr) == (number > 3)
    assert "alembic_version" not in tables(empty_url)
    assert run_cli("migrate", "--into-existing", DATABASE_URL=empty_url).exit_code == 0
    assert run_cli("migrate", DATABASE_URL=empty_url).exit_code == 0


def test_tables_with_our_names_but_no_migrations_are_refused_in_any_case(empty_url: str) -> None:
    execute(empty_url, "CREATE TABLE campaigns (id INTEGER)", "CREATE TABLE clicks (id INTEGER)")
    for options in ([], ["--into-existing"]):
        assert_refused(run_cli("migrate", *options, DATABASE_URL=empty_url), "campaigns", "record of")
    assert tables(empty_url) == {"campaigns", "clicks"}


def test_other_application_with_tables_of_our_names_is_refused_in_any_case(empty_url: str) -> None:
    execute(
        empty_url,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('ae1027a6acf')",
        "CREATE TABLE campaigns (id INTEGER)",
    )
    for options in ([], ["--into-existing"]):
        assert_refused(run_cli("migrate", *options, DATABASE_URL=empty_url), "campaigns")
    assert_refused(run_cli("worker", DATABASE_URL=empty_url), "campaigns")


def test_own_tables_beside_ours_are_no_obstacle(empty_url: str) -> None:
    migrated(empty_url)
    execute(empty_url, "CREATE TABLE newsroom_reports (id INTEGER)")
    assert run_cli("migrate", DATABASE_URL=empty_url).exit_code == 0


def test_database_without_tables_after_a_downgrade_is_empty(empty_url: str) -> None:
    execute(empty_url, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    assert run_cli("migrate", DATABASE_URL=empty_url).exit_code == 0


@contextmanager
def locked(url: str, *statements: str) -> Iterator[None]:
    """Hold a lock in another connection until the block ends."""
    engine = create_engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(text(statement))
        yield
        connection.rollback()
    engine.dispose()


def test_locked_database_is_reported_and_a_repeat_migrates(empty_url: str) -> None:
    # The next migration adds a column to the locked table.
    engine = create_engine(empty_url)
    migration.migrate(engine, revision="0032")
    engine.dispose()
    is_sqlite = empty_url.startswith("sqlite")
    with locked(empty_url, *([] if is_sqlite else ["LOCK TABLE installations IN ACCESS SHARE MODE"])):
        result = run_cli("migrate", DATABASE_URL=empty_url)
        assert_refused(result, "Another process", *(["locked"] if is_sqlite else ["is undone", "again"]))
        assert "schema_compatibility" not in tables(empty_url) or is_sqlite
    assert run_cli("migrate", DATABASE_URL=empty_url).exit_code == 0


def test_other_migration_is_reported_and_a_repeat_migrates(
    worker_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "OTHER_MIGRATION_TIMEOUT_SECONDS", 1)
    url = make_database(f"mainstay_empty_{worker_id}")
    with locked(url, f"SELECT pg_advisory_xact_lock({migration.MIGRATION_LOCK})"):
        assert_refused(run_cli("migrate", DATABASE_URL=url), "Another mainstay migrate is running", "again")
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0


@pytest.mark.parametrize("table", ["supporters", "gateway_events", "campaigns"])
def test_locked_table_is_reported_when_the_schema_is_current(worker_id: str, table: str) -> None:
    url = migrated(make_database(f"mainstay_empty_{worker_id}"))
    with locked(url, f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"):
        assert_cli_error(run_cli("migrate", DATABASE_URL=url), "lock")
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0


def test_database_that_may_not_be_changed_is_reported(empty_url: str) -> None:
    if empty_url.startswith("sqlite"):
        execute(empty_url, "CREATE TABLE alembic_version (id INTEGER)")
        assert_refused(run_cli("migrate", DATABASE_URL=empty_url), "failed")
        return
    execute(
        empty_url,
        "DROP ROLE IF EXISTS mainstay_guest",
        "CREATE ROLE mainstay_guest LOGIN",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    url = empty_url.replace("postgres@", "mainstay_guest@", 1)
    assert_refused(run_cli("migrate", DATABASE_URL=url), "mainstay_guest may not", "grant")
