"""Prepared statements: on with a direct connection, off behind PgBouncer in transaction mode."""

import threading
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from structlog.testing import capture_logs

from jobs.job_runs import JobRunRecorder
from jobs.schedule import Job
from jobs.worker import run_job
from service.app import create_app
from service.container import Container
from service.db import prepared_statements
from tests.api.client import post_reminder
from tests.conftest import settings_for
from tests.db.conftest import MakeContainer
from tests.pgbouncer import PgBouncer

# More often than psycopg executes a statement before it prepares it.
OFTEN = 8
OFF = "prepared_statements_off"


@pytest.fixture
def pooler(container: Container) -> Iterator[PgBouncer]:
    """Return a PgBouncer with one connection, which all its clients use in turn."""
    with PgBouncer(container.settings.database_url, server_connections=1, tracks_statements=False) as pooler:
        yield pooler


def execute_often(container: Container) -> int:
    """Execute a statement often, and return how many statements are prepared on its connection."""
    with container.database.transaction() as session:
        for number in range(OFTEN):
            assert session.scalar(text("SELECT CAST(:number AS integer)"), {"number": number}) == number
        return session.scalar(text("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE '_pg3_%'"))


def take_names(pooler: PgBouncer) -> None:
    """Prepare statements under the names that psycopg gives, as another process does."""
    url = pooler.url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url, prepare_threshold=0) as other:
        for number in range(OFTEN):
            other.execute(f"SELECT {number} AS other")


def sign_up(client: FlaskClient) -> int:
    """Sign up a new reader; return the status. Only statements of a transaction that commits stay prepared."""
    return post_reminder(client, email=f"reader-{uuid.uuid4()}@example.org").status_code


@pytest.mark.parametrize(("setting", "expected"), [("auto", 1), ("off", 0)])
def test_statements_are_prepared_on_direct_connections_unless_turned_off(
    container: Container, make_container: MakeContainer, setting: str, expected: int
) -> None:
    settings = settings_for(container.settings.database_url, DATABASE_PREPARES=setting)
    with capture_logs() as lines:
        assert execute_often(make_container(settings)) == expected
    assert [line for line in lines if line["event"] == OFF] == []


@pytest.mark.parametrize(("setting", "notices"), [("auto", 1), ("off", 0)])
def test_two_processes_share_a_connection_of_pgbouncer(
    pooler: PgBouncer, make_container: MakeContainer, setting: str, notices: int
) -> None:
    one, two = (make_container(settings_for(pooler.url, DATABASE_PREPARES=setting)) for _ in range(2))
    with capture_logs() as lines:
        for _ in range(OFTEN):
            assert execute_often(one) == 0
            assert execute_often(two) == 0
    noticed = [line for line in lines if line["event"] == OFF]
    assert len(noticed) == 2 * notices
    assert all("PgBouncer" in line["reason"] for line in noticed)


def test_another_process_that_prepares_disturbs_nobody(pooler: PgBouncer, make_container: MakeContainer) -> None:
    container = make_container(settings_for(pooler.url))
    take_names(pooler)
    with container.database.transaction() as session:
        for number in range(OFTEN):
            assert session.scalar(text("SELECT CAST(:number AS integer)"), {"number": number}) == number


@pytest.fixture
def unrecognised(pooler: PgBouncer, monkeypatch: pytest.MonkeyPatch, make_container: MakeContainer) -> Container:
    """Return a container behind a pooler that cannot be told from a server. It prepares all that it executes."""
    monkeypatch.setattr(prepared_statements, "is_pooled", lambda _: False)
    monkeypatch.setattr(prepared_statements, "PREPARE_THRESHOLD", 0)
    return make_container(settings_for(pooler.url))


def test_request_that_meets_the_first_name_conflict_is_answered(
    pooler: PgBouncer, unrecognised: Container
) -> None:
    client: FlaskClient = create_app(unrecognised).test_client()
    take_names(pooler)
    with capture_logs() as lines:
        statuses = [sign_up(client) for _ in range(2 * OFTEN)]
    assert set(statuses) == {201}
    assert [line["reason"] for line in lines if line["event"] == OFF] == ["DuplicatePreparedStatement"]


def test_job_that_meets_the_first_name_conflict_is_run_again(pooler: PgBouncer, unrecognised: Container) -> None:
    take_names(pooler)
    runs = []

    def read_often(container: Container, _stop: threading.Event) -> dict[str, int]:
        runs.append(1)
        with container.database.transaction() as session:
            for _ in range(OFTEN):
                session.execute(text("SELECT 1 AS job"))
        return {"done": 1}

    job = Job("read_often", read_often, 5, record_runs=False)
    with capture_logs() as lines:
        run_job(job, unrecognised, JobRunRecorder(unrecognised), threading.Event())
        run_job(job, unrecognised, JobRunRecorder(unrecognised), threading.Event())
    assert len(runs) == 3
    assert [line["event"] for line in lines] == [OFF]


def test_missing_name_turns_them_off_too(pooler: PgBouncer, unrecognised: Container) -> None:
    def read() -> int | None:
        with unrecognised.database.transaction() as session:
            return session.scalar(text("SELECT 1 AS missing"))

    assert read() == 1
    with psycopg.connect(pooler.url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as other:
        other.execute("DEALLOCATE ALL")
    with capture_logs() as lines, pytest.raises(ProgrammingError) as raised:
        read()
    assert prepared_statements.is_name_conflict(raised.value)
    assert [line["reason"] for line in lines] == ["InvalidSqlStatementName"]
    assert read() == 1
