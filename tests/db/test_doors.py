"""The two doors to the database: one that may write and one that cannot."""

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


def test_postgresql_itself_refuses_to_write_through_the_reading_door(container: Container) -> None:
    with pytest.raises(InternalError, match="read-only transaction"), container.database.read_only() as session:
        session.execute(update(Campaign).values(name="Altered"))


def test_the_writing_door_writes_on_a_connection_that_was_read_through_before(container: Container) -> None:
    # The pool hands the very same connection out again; it must not have stayed read-only.
    for _ in range(3):
        with container.database.read_only() as session:
            before = session.scalar(text("SELECT pg_backend_pid()"))
        with container.database.transaction() as session:
            assert session.scalar(text("SELECT pg_backend_pid()")) == before
            session.execute(update(Campaign).values(name="Altered"))
    with container.database.read_only() as session:
        assert session.scalar(select(Campaign.name)) == "Altered"


def test_nothing_written_through_the_reading_door_of_sqlite_stays(any_database: Container) -> None:
    try:
        with any_database.database.read_only() as session:
            session.execute(update(Campaign).values(name="Altered"))
    except InternalError:
        assert any_database.database.engine.dialect.name == "postgresql"
    with any_database.database.read_only() as session:
        assert session.scalar(select(Campaign.name)) != "Altered"


def test_a_transaction_that_raises_leaves_nothing(any_database: Container) -> None:
    def alter_and_fail() -> None:
        with any_database.database.transaction() as session:
            session.execute(update(Campaign).values(name="Altered"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        alter_and_fail()
    with any_database.database.read_only() as session:
        assert session.scalar(select(Campaign.name)) != "Altered"


def test_writers_of_sqlite_queue_and_none_is_told_that_it_is_locked(sqlite_url: str, make_container) -> None:
    container = make_container(settings_for(sqlite_url))
    threads, each = 12, 8
    start = threading.Barrier(threads, timeout=60)

    def read_and_then_write(number: int) -> None:
        start.wait()
        for turn in range(each):
            with container.database.transaction() as session:
                # Reading first is what makes a late lock impossible to take: another may have written since.
                session.scalar(select(func.count()).select_from(AuditEntry))
                write_audit_entry(
                    session, actor=str(number), action="test", details={"turn": turn}, now=container.clock()
                )

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read_and_then_write, range(threads)))
    with container.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == threads * each


def test_a_reader_of_sqlite_does_not_wait_for_a_writer(sqlite_url: str, make_container) -> None:
    container = make_container(settings_for(sqlite_url))
    with container.database.transaction() as writer:
        writer.execute(update(Campaign).values(name="Altered"))
        with container.database.read_only() as reader:
            assert reader.scalar(select(Campaign.name)) != "Altered"


def test_the_pool_survives_a_server_that_dropped_its_connections(container: Container) -> None:
    with container.database.read_only() as session:
        mine = session.scalar(text("SELECT pg_backend_pid()"))
    killer = container.database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with container.database.read_only(), killer.connect() as connection:
        # The first `with` holds the pooled connection, so that the killing happens from another one.
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine})
        wait_until(
            lambda: (
                not connection.scalar(
                    text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid"), {"pid": mine}
                )
            ),
            what="the connection to end",
        )
    with container.database.read_only() as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_an_error_never_shows_the_values_that_were_sent(any_database: Container) -> None:
    with pytest.raises(Exception, match="syntax") as caught, any_database.database.read_only() as session:
        session.execute(text("SELEC :address"), {"address": "a@reader.example"})
    assert "a@reader.example" not in str(caught.value)
