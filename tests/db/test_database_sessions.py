"""Database sessions: `transaction()` commits or rolls back, and `read_only()` cannot write."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import InternalError

from service.container import Container
from service.db.models.admin import AuditEntry
from service.db.models.campaign import Campaign
from service.domain.staff import write_audit_entry
from tests.conftest import settings_for
from tests.processes import wait_until


@pytest.fixture
def container(isolated_container: Container) -> Container:
    return isolated_container


def test_postgresql_refuses_writes_in_read_only_session(container: Container) -> None:
    with pytest.raises(InternalError, match="read-only transaction"), container.database.read_only() as session:
        session.execute(update(Campaign).values(name="Altered"))


def test_transaction_can_write_on_a_connection_reused_from_read_only_session(container: Container) -> None:
    # The pool reuses the same connection, which must not stay read-only.
    for _ in range(3):
        with container.database.read_only() as session:
            before = session.scalar(text("SELECT pg_backend_pid()"))
        with container.database.transaction() as session:
            assert session.scalar(text("SELECT pg_backend_pid()")) == before
            session.execute(update(Campaign).values(name="Altered"))
    with container.database.read_only() as session:
        assert session.scalar(select(Campaign.name)) == "Altered"


def test_read_only_session_never_commits(any_database: Container) -> None:
    try:
        with any_database.database.read_only() as session:
            session.execute(update(Campaign).values(name="Altered"))
    except InternalError:
        assert any_database.database.engine.dialect.name == "postgresql"
    with any_database.database.read_only() as session:
        assert session.scalar(select(Campaign.name)) != "Altered"


def test_exception_rolls_transaction_back(any_database: Container) -> None:
    def alter_and_fail() -> None:
        with any_database.database.transaction() as session:
            session.execute(update(Campaign).values(name="Altered"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        alter_and_fail()
    with any_database.database.read_only() as session:
        assert session.scalar(select(Campaign.name)) != "Altered"


def test_concurrent_sqlite_writers_wait_without_database_is_locked_error(sqlite_url: str, make_container) -> None:
    container = make_container(settings_for(sqlite_url))
    threads, writes_per_thread = 12, 8
    start = threading.Barrier(threads, timeout=60)

    def read_and_then_write(number: int) -> None:
        start.wait()
        for turn in range(writes_per_thread):
            with container.database.transaction() as session:
                # After a read, SQLite refuses to upgrade to a write lock if another connection has written since.
                session.scalar(select(func.count()).select_from(AuditEntry))
                write_audit_entry(
                    session, actor=str(number), action="test", details={"turn": turn}, now=container.clock()
                )

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read_and_then_write, range(threads)))
    with container.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == threads * writes_per_thread


def test_sqlite_reader_is_not_blocked_by_writer(sqlite_url: str, make_container) -> None:
    container = make_container(settings_for(sqlite_url))
    with container.database.transaction() as writer:
        writer.execute(update(Campaign).values(name="Altered"))
        with container.database.read_only() as reader:
            assert reader.scalar(select(Campaign.name)) != "Altered"


def test_pool_replaces_connection_terminated_by_server(container: Container) -> None:
    with container.database.read_only() as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
    admin_engine = container.database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with container.database.read_only(), admin_engine.connect() as connection:
        # The first context manager holds the pooled connection, so that another one terminates it.
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        wait_until(
            lambda: (
                not connection.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid})
            ),
            what="the connection to end",
        )
    with container.database.read_only() as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_database_error_hides_bound_parameters(any_database: Container) -> None:
    with pytest.raises(Exception, match="syntax") as caught, any_database.database.read_only() as session:
        session.execute(text("SELEC :address"), {"address": "a@reader.example"})
    assert "a@reader.example" not in str(caught.value)
