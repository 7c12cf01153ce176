"""Lazy pre-ping: the pool replaces connections that PostgreSQL has closed."""

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

import service.db.session as db_session
from service.container import Container


@pytest.fixture
def container(isolated_container: Container) -> Container:
    return isolated_container


def terminate_connections(container: Container) -> None:
    """Terminate every connection to the database, as a restart of the server does."""
    url = (
        make_url(container.settings.database_url)
        .set(drivername="postgresql")
        .render_as_string(hide_password=False)
    )
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def backend_pid(container: Container) -> int:
    """Return the process id of the PostgreSQL backend that serves a transaction."""
    with container.database.transaction() as session:
        return session.scalar(text("SELECT pg_backend_pid()"))


@pytest.mark.parametrize("ping_skip_seconds", [0, 60])
def test_transaction_gets_a_new_connection_after_server_terminated_the_old_one(
    container: Container, monkeypatch: pytest.MonkeyPatch, ping_skip_seconds: int
) -> None:
    monkeypatch.setattr(db_session, "PING_SKIP_SECONDS", ping_skip_seconds)
    before = backend_pid(container)
    assert backend_pid(container) == before
    terminate_connections(container)
    assert backend_pid(container) != before


def test_only_idle_connections_are_pinged(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    pings = []
    ping = container.database.engine.dialect.do_ping
    monkeypatch.setattr(
        container.database.engine.dialect, "do_ping", lambda dbapi: pings.append(dbapi) or ping(dbapi)
    )
    backend_pid(container)
    backend_pid(container)
    assert pings == []
    monkeypatch.setattr(db_session, "PING_SKIP_SECONDS", 0)
    backend_pid(container)
    assert len(pings) == 1
