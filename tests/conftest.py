"""Fixtures for all tests: a real PostgreSQL, a container on it, a fake clock, and a web client.

The server is `TEST_DATABASE_URL`, or one that the test run starts. Each test process has its own database, built
by the real migrations. Each test that uses it finds only the demo campaign in it.
"""

import datetime
import os
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from xdist.remote import Producer

from service.app import create_app
from service.bootstrap import build_container
from service.commands.demo_campaign import load_demo_campaign
from service.container import Container
from service.db.keyring import Keyring
from service.db.migration import migrate
from service.db.models import Base
from service.db.session import create_database_engine
from service.domain.campaigns.definitions import CampaignDefinition, upsert_campaign
from service.settings import Settings, read_settings
from tests.clock import FakeClock
from tests.postgres import PostgresServer
from tests.xdist_scheduler import BrowserGroupScheduler

SERVER_ENV = "MAINSTAY_TEST_SERVER"
PUBLIC_URL = "http://desk.test"
# With this PUBLIC_URL, requests of the test client are for this machine only.
LOCAL_URL = "http://localhost"
DELETE_ALL_SQL = ";".join(f'DELETE FROM "{table.name}"' for table in reversed(Base.metadata.sorted_tables))


def pytest_configure(config: pytest.Config) -> None:
    """Start the server of this run before any test process starts."""
    if hasattr(config, "workerinput"):
        return
    given = os.environ.get("TEST_DATABASE_URL")
    if given is None:
        config.mainstay_server = PostgresServer()
    os.environ[SERVER_ENV] = given or config.mainstay_server.url


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server that this run started."""
    if hasattr(config, "mainstay_server"):
        config.mainstay_server.stop()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BrowserGroupScheduler:
    """Return the scheduler that distributes tests to processes."""
    return BrowserGroupScheduler(config, log)


def make_database(name: str) -> str:
    """Create an empty database on the test server and return its URL."""
    server = make_url(os.environ[SERVER_ENV].replace("postgres://", "postgresql://", 1))
    server = server.set(drivername="postgresql+psycopg")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    """Return the name of this test process: `gw0`, `gw1`, … or `main`."""
    return getattr(request.config, "workerinput", {}).get("workerid", "main")


@pytest.fixture(scope="session")
def migrated_database(worker_id: str) -> str:
    """Return the URL of this test process's migrated database."""
    url = make_database(f"mainstay_test_{worker_id}")
    container = build_container(settings_for(url))
    migrate(container.database.engine)
    container.database.engine.dispose()
    return url


def settings_for(database_url: str, **changes: str) -> Settings:
    """Return settings for tests; `changes` are environment variables."""
    return read_settings(
        {
            "DATABASE_URL": database_url,
            "SECRET_KEYS": "a-key-that-only-the-tests-know-0123456789",
            "PUBLIC_URL": PUBLIC_URL,
            "RATE_LIMIT": "off",
            **changes,
        }
    )


def reset_database(container: Container) -> None:
    """Delete everything except the demo campaign.

    DELETE is used because TRUNCATE creates new files for every table, which takes longer than most tests.
    """
    with container.database.transaction() as session:
        session.execute(text(DELETE_ALL_SQL))
        upsert_campaign(session, demo_campaign(), now=container.clock())


@cache
def demo_campaign() -> CampaignDefinition:
    """Return the demo campaign."""
    return load_demo_campaign()


@pytest.fixture
def clock() -> FakeClock:
    """Return a fake clock at 09:30 UTC on 23 November 2026."""
    return FakeClock(datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC))


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    """Return the settings of the container; a test module may override this fixture."""
    return settings_for(migrated_database)


@pytest.fixture(scope="session")
def cached_engine() -> Iterator[Callable[[Settings, Keyring], Engine]]:
    """Return a function that creates engines like the service, but once for all tests with equal settings.

    A new engine would have to connect and compile every statement again.
    """
    engines: dict[object, Engine] = {}

    def engine_for(settings: Settings, keyring: Keyring) -> Engine:
        pool = settings.database_prepares, settings.database_pool, settings.database_pool_overflow
        key = settings.database_url, settings.secret_keys, pool
        if key not in engines:
            engines[key] = create_database_engine(settings, keyring)
        return engines[key]

    yield engine_for
    for engine in engines.values():
        engine.dispose()


@pytest.fixture
def container(
    settings: Settings, clock: FakeClock, cached_engine: Callable[[Settings, Keyring], Engine]
) -> Container:
    """Return a container on real PostgreSQL, with the dev outbox mailer and the demo campaign."""
    container = build_container(settings, clock=clock, engine_for=cached_engine)
    reset_database(container)
    return container


@pytest.fixture
def app(container: Container) -> Flask:
    """Return the web application with the test's container."""
    return create_app(container)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a test client of the application."""
    return app.test_client()
