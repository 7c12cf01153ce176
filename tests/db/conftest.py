"""Databases of both kinds, for behaviour that must hold on PostgreSQL and on SQLite."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.bootstrap import build_container
from service.commands.migrate import migrate_and_seed
from service.container import Container
from service.settings import Settings
from tests.clock import FakeClock
from tests.conftest import make_database, settings_for

MakeContainer = Callable[..., Container]


@pytest.fixture(params=["postgresql", "sqlite"])
def empty_url(request: pytest.FixtureRequest, worker_id: str, tmp_path: Path) -> str:
    """Return the URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mainstay.db'}"
    return make_database(f"mainstay_empty_{worker_id}")


@pytest.fixture
def make_container(clock: FakeClock) -> Iterator[MakeContainer]:
    """Return a function that builds containers, and close their connections afterwards."""
    built: list[Container] = []

    def build(settings: Settings) -> Container:
        built.append(build_container(settings, clock=clock))
        return built[-1]

    yield build
    for container in built:
        container.database.engine.dispose()


@pytest.fixture
def isolated_container(container: Container, make_container: MakeContainer) -> Container:
    """Return a container on PostgreSQL with connections of its own, which a test may count and terminate."""
    # The connections of the shared engine must not be terminated, because later tests use them.
    container.database.engine.dispose()
    return make_container(container.settings)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite file with the demo campaign; tests use copies of it."""
    file = tmp_path_factory.mktemp("sqlite") / "mainstay.db"
    container = build_container(settings_for(f"sqlite:///{file}"))
    migrate_and_seed(container)
    with container.database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    container.database.engine.dispose()
    return file


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """Return the URL of a migrated SQLite file with only the demo campaign."""
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'mainstay.db')}"


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a migrated database with only the demo campaign, once of each kind."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_url")
    return request.getfixturevalue("container").settings.database_url


@pytest.fixture
def any_database(url: str, make_container: MakeContainer) -> Container:
    """Return a container on that database."""
    return make_container(settings_for(url))
