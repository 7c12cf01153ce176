"""Connections that PostgreSQL has closed are replaced before anyone meets them."""

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from service.container import Container
from service.db import session as liveness


@pytest.fixture
def container(isolated_container: Container) -> Container:
    return isolated_container


def end_all_connections(container: Container) -> None:
    """End what the desk holds open, from outside, as a restart of the server does."""
    url = (
        make_url(container.settings.database_url)
        .set(drivername="postgresql")
        .render_as_string(hide_password=False)
    )
    with psycopg.connect(url, autocommit=True) as outside:
        outside.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def backend(container: Container) -> int:
    """Return which process of PostgreSQL serves a transaction."""
    with container.database.transaction() as session:
        return session.scalar(text("SELECT pg_backend_pid()"))


@pytest.mark.parametrize("trusted_seconds", [0, 60])
def test_a_transaction_never_meets_a_connection_that_the_server_ended(
    container: Container, monkeypatch: pytest.MonkeyPatch, trusted_seconds: int
) -> None:
    monkeypatch.setattr(liveness, "PING_SKIP_SECONDS", trusted_seconds)
    before = backend(container)
    assert backend(container) == before
    end_all_connections(container)
    assert backend(container) != before


def test_a_connection_in_use_a_moment_ago_is_not_asked_and_an_idle_one_is(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    ping = container.database.engine.dialect.do_ping
    monkeypatch.setattr(
        container.database.engine.dialect, "do_ping", lambda dbapi: asked.append(dbapi) or ping(dbapi)
    )
    backend(container)
    backend(container)
    assert asked == []
    monkeypatch.setattr(liveness, "PING_SKIP_SECONDS", 0)
    backend(container)
    assert len(asked) == 1
