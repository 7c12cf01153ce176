"""Databases of both kinds, for promises that must hold on each."""

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

MakeDesk = Callable[..., Container]


@pytest.fixture(params=["postgresql", "sqlite"])
def empty_url(request: pytest.FixtureRequest, worker_id: str, tmp_path: Path) -> str:
    """Return the URL of a database with nothing in it, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mainstay.db'}"
    return make_database(f"mainstay_empty_{worker_id}")


@pytest.fixture
def make_container(clock: FakeClock) -> Iterator[MakeDesk]:
    """Return a function that builds desks, and let go of their connections afterwards."""
    built: list[Container] = []

    def build(settings: Settings) -> Container:
        built.append(build_container(settings, clock=clock))
        return built[-1]

    yield build
    for container in built:
        container.database.engine.dispose()


@pytest.fixture
def isolated_container(container: Container, make_container: MakeDesk) -> Container:
    """Return a desk on real PostgreSQL whose connections are its own, to be counted and ended."""
    # Those that last must not be among the ones that are ended.
    container.database.engine.dispose()
    return make_container(container.settings)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite file with the demo campaign, to be copied and never used itself."""
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
    """Return the URL of a migrated SQLite file with nothing but the demo campaign."""
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'mainstay.db')}"


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a migrated database with nothing but the demo campaign, once of each kind."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_url")
    return request.getfixturevalue("container").settings.database_url


@pytest.fixture
def any_database(url: str, make_container: MakeDesk) -> Container:
    """Return a desk on that database."""
    return make_container(settings_for(url))
