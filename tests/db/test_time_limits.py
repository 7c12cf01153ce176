"""No statement, lock or silent database holds a request for long; jobs and exports have more time."""

import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import requests
from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from service.api.problems import register_error_handlers
from service.bootstrap import build_container
from service.container import Container
from service.db.keyring import Keyring
from service.db.session import Database, create_database_engine
from service.db.time_limits import EXPORT_LIMITS, JOB_LIMITS, DeadlineConnection, TimeLimits
from tests.api.client import REMINDER, auth_headers
from tests.conftest import settings_for
from tests.pgbouncer import PgBouncer
from tests.processes import environment, running, wait_until, web

LIMITS = TimeLimits(statement=3, lock=1, idle=2)
SETTINGS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


@pytest.fixture
def limited(container: Container) -> Iterator[Database]:
    settings = container.settings
    engine = create_database_engine(settings, Keyring(settings.secret_keys))
    yield Database(engine, LIMITS)
    engine.dispose()


def shown(database: Database, limits: TimeLimits | None = None) -> list[str]:
    with database.read_only(limits) as session:
        return [str(session.scalar(text(f"SHOW {name}"))) for name in SETTINGS]


def test_transactions_have_limits_and_the_connection_keeps_none(limited: Database) -> None:
    assert shown(limited) == ["3s", "1s", "2s"]
    with limited.transaction() as session:
        assert session.scalar(text("SHOW statement_timeout")) == "3s"
    assert shown(limited, EXPORT_LIMITS) == ["5min", "30s", "10min"]
    # A pooler gives the session to another client next, and a migration uses the engine itself.
    with limited.engine.connect() as connection:
        assert [connection.scalar(text(f"SHOW {name}")) for name in SETTINGS] == ["0", "0", "0"]


def test_limits_are_set_by_a_statement_that_can_be_prepared(limited: Database) -> None:
    for _ in range(12):
        assert shown(limited) == ["3s", "1s", "2s"]


def test_limits_work_behind_a_pooler_and_leave_nothing_behind(container: Container) -> None:
    with PgBouncer(container.settings.database_url, server_connections=1) as pooler:
        pooled = build_container(settings_for(pooler.url), time_limits=LIMITS).database
        for _ in range(12):
            assert shown(pooled) == ["3s", "1s", "2s"]
        with pytest.raises(OperationalError, match="statement timeout"), pooled.transaction() as session:
            session.execute(text("SELECT pg_sleep(3600)"))
        # The only connection to PostgreSQL, which the next client gets.
        with pooled.engine.connect() as connection:
            assert [connection.scalar(text(f"SHOW {name}")) for name in SETTINGS] == ["0", "0", "0"]
        pooled.engine.dispose()


def test_server_that_vanished_is_noticed_by_the_kernel(limited: Database) -> None:
    with limited.engine.connect() as connection:
        parameters = connection.connection.dbapi_connection.info.get_parameters()
    # Milliseconds of unacknowledged data, and 30 to 60 seconds of silence.
    assert parameters["tcp_user_timeout"] == "30000"
    assert int(parameters["keepalives_idle"]) == 30
    assert int(parameters["keepalives_interval"]) * int(parameters["keepalives_count"]) == 30


def test_statement_ends_at_its_limit(limited: Database) -> None:
    with pytest.raises(OperationalError, match="statement timeout"), limited.read_only() as session:
        session.execute(text("SELECT pg_sleep(3600)"))
    assert shown(limited) == ["3s", "1s", "2s"]


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def test_waiting_for_a_lock_ends_at_its_limit(container: Container, limited: Database) -> None:
    with (
        locked(container.settings.database_url, "campaigns"),
        pytest.raises(OperationalError, match="lock timeout"),
        limited.transaction() as session,
    ):
        session.execute(text("SELECT 1 FROM campaigns"))


def test_locked_database_answers_with_503_and_healthz_with_200(container: Container, tmp_path: Path) -> None:
    url = container.settings.database_url
    with web(url, tmp_path / "log", DATABASE_LOCK_TIMEOUT="1") as base, ThreadPoolExecutor(12) as pool:
        with locked(url, "supporters, reminders, staff_tokens"):
            # Three times as many requests as threads, so that all threads are waiting.
            waiting = [
                pool.submit(requests.post, f"{base}/v1/reminders", json=REMINDER, timeout=100) for _ in range(12)
            ]
            assert requests.get(f"{base}/healthz", timeout=100).status_code == 200
            for response in (future.result() for future in waiting):
                assert (response.status_code, response.json()["code"]) == (503, "unavailable")
                assert response.headers["Content-Type"] == "application/problem+json"
                assert int(response.headers["Retry-After"]) > 0
        assert requests.post(f"{base}/v1/reminders", json=REMINDER, timeout=100).status_code == 201


class FrozenProxy:
    """A TCP proxy that can stop passing anything on while its connections stay open, as a stalled server does."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._flowing = threading.Event()
        self._flowing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def close(self) -> None:
        self.thaw()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._connect()
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = self._target
        if host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{host}/.s.PGSQL.{port}")
            return server
        return socket.create_connection((host, port))

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(migrated_database: str) -> Iterator[FrozenProxy]:
    url = make_url(migrated_database)
    host = url.query.get("host") or url.host or "localhost"
    proxy = FrozenProxy(str(host), int(str(url.query.get("port") or url.port or 5432)))
    yield proxy
    proxy.close()


def through(proxy: FrozenProxy, url: str) -> str:
    to_proxy = make_url(url).set(host="127.0.0.1", port=proxy.port, query={"connect_timeout": "2"})
    return to_proxy.render_as_string(hide_password=False)


def test_silent_database_does_not_hold_a_connection_for_ever(container: Container, proxy: FrozenProxy) -> None:
    settings = settings_for(through(proxy, container.settings.database_url))
    silent = build_container(settings, time_limits=LIMITS)
    with silent.database.read_only() as session:
        assert session.scalar(text("SELECT 1")) == 1
        proxy.freeze()
        with pytest.raises(OperationalError, match="did not answer in time"):
            session.execute(text("SELECT 2"))
    with pytest.raises(OperationalError), silent.database.read_only() as session:
        pass
    proxy.thaw()
    with silent.database.read_only() as session:
        assert session.scalar(text("SELECT 3")) == 3
    silent.database.engine.dispose()


def test_stalled_database_answers_with_503_and_healthz_with_200(
    container: Container, proxy: FrozenProxy, tmp_path: Path
) -> None:
    url = through(proxy, container.settings.database_url)
    with web(url, tmp_path / "log", DATABASE_STATEMENT_TIMEOUT="1") as base, ThreadPoolExecutor(12) as pool:
        assert requests.post(f"{base}/v1/reminders", json=REMINDER, timeout=100).status_code == 201
        proxy.freeze()
        waiting = [
            pool.submit(requests.post, f"{base}/v1/reminders", json=REMINDER, timeout=200) for _ in range(12)
        ]
        assert requests.get(f"{base}/healthz", timeout=100).status_code == 200
        for response in (future.result() for future in waiting):
            assert (response.status_code, response.json()["code"]) == (503, "unavailable")
            assert int(response.headers["Retry-After"]) > 0
        proxy.thaw()
        assert requests.post(f"{base}/v1/reminders", json=REMINDER, timeout=100).status_code == 201


def is_connected(container: Container, pid: int) -> bool:
    with container.database.read_only() as session:
        found = session.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid})
    return bool(found)


def test_transaction_that_is_idle_for_too_long_is_a_503(limited: Database, container: Container) -> None:
    app = Flask("idle")
    register_error_handlers(app)

    @app.get("/")
    def idle() -> str:
        with limited.transaction() as session:
            pid = session.scalar(text("SELECT pg_backend_pid()"))
            wait_until(lambda: not is_connected(container, pid), what="PostgreSQL to end the transaction")
            session.execute(text("SELECT 1"))
        return ""

    response = app.test_client().get("/")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


def is_waiting_for_lock(container: Container) -> bool:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with container.database.read_only() as session:
        return bool(session.scalar(text(waiting)))


def test_export_has_more_time_than_a_request(container: Container, tmp_path: Path) -> None:
    url = container.settings.database_url
    headers = auth_headers(container, "export")
    with web(url, tmp_path / "log", DATABASE_STATEMENT_TIMEOUT="1", DATABASE_LOCK_TIMEOUT="1") as base:
        address = f"{base}/v1/admin/pledges/export?format=csv"
        with ThreadPoolExecutor(1) as pool:
            with locked(url, "pledges"):
                export = pool.submit(requests.get, address, headers=headers, timeout=100)
                wait_until(lambda: is_waiting_for_lock(container), what="the export to wait for the lock")
                # It is held for longer than a request waits for one, and for less than an export does.
                with pytest.raises(TimeoutError):
                    export.result(timeout=2)
            assert export.result().status_code == 200


# A worker whose limits for jobs are shorter, so that the test need not wait for those of a real one.
WORKER_WITH_SHORT_LIMITS = """
from jobs import worker
from service.db.time_limits import TimeLimits
worker.JOB_LIMITS = TimeLimits(statement=5, lock=1, idle=5)
worker.main()
"""


def test_job_ends_at_the_limits_of_jobs(container: Container, tmp_path: Path) -> None:
    assert EXPORT_LIMITS.lock == JOB_LIMITS.lock > LIMITS.lock
    log, url = tmp_path / "log", container.settings.database_url
    with (
        # A worker that starts reads pledges before it runs jobs.
        locked(url, "idempotency_keys"),
        running(sys.executable, "-c", WORKER_WITH_SHORT_LIMITS, log=log, env=environment(url)),
    ):
        wait_until(lambda: '"job_failed"' in log.read_text(), what=f"a job to meet its limit, see {log}")
    failed = [line for line in log.read_text().splitlines() if '"job_failed"' in line]
    assert '"error_class": "OperationalError"' in failed[0]


@contextmanager
def own_statements(database: Database) -> Iterator[DeadlineConnection]:
    with database.driver_connection() as connection:
        assert connection is not None
        yield connection


def test_work_is_done_while_postgresql_is_busy_with_a_statement(limited: Database) -> None:
    with own_statements(limited) as connection, own_statements(limited) as other:
        query = "SELECT query FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
        done: list[int] = []

        def look() -> None:
            """Wait until the other connection sees the statement, which goes on for a second."""
            pid = connection.info.backend_pid
            wait_until(lambda: other.execute(query, [pid]).fetchone(), what="the statement", seconds=10)
            done.append(1)

        sleep = "SELECT %s::int, pg_sleep(%s::int)"
        connection.execute(sleep, [0, 0], prepare=True)
        # Also when the driver would otherwise prepare what it has run so often.
        for number in range(7):
            with connection.work_meanwhile(look):
                assert connection.execute(sleep, [number, 1]).fetchone() == (number, "")
                assert connection.execute("SELECT 'another'").fetchone() == ("another",)
            assert len(done) == number + 1
        assert connection.execute("SELECT 'last'").fetchone() == ("last",)


def test_statement_that_fails_says_so_after_the_work(limited: Database) -> None:
    with own_statements(limited) as connection:
        done: list[int] = []
        with (
            pytest.raises(psycopg.errors.DivisionByZero),
            connection.work_meanwhile(lambda: done.append(1)),
        ):
            connection.execute("SELECT 1 / 0")
        assert done == [1]
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("error", [RuntimeError, StopIteration])
def test_work_that_fails_closes_the_connection(limited: Database, error: type[Exception]) -> None:
    def fail() -> None:
        raise error("of the work")

    with (
        pytest.raises(RuntimeError),
        own_statements(limited) as connection,
        connection.work_meanwhile(fail),
    ):
        connection.execute("SELECT pg_sleep(0.5)")
    assert connection.closed
    # The pool has no use for it.
    with own_statements(limited) as another:
        assert another.execute("SELECT 1").fetchone() == (1,)


def test_answer_that_comes_late_after_work_is_an_error(limited: Database) -> None:
    with own_statements(limited) as connection:
        connection.answer_seconds = 0.5
        with (
            pytest.raises(psycopg.OperationalError, match="did not answer in time"),
            connection.work_meanwhile(lambda: None),
        ):
            connection.execute("SELECT pg_sleep(3600)")
        assert connection.closed
