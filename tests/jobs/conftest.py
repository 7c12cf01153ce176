"""A container on SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.bootstrap import build_container
from service.commands.migrate import migrate_and_seed
from service.container import Container
from tests.clock import FakeClock
from tests.conftest import settings_for


@pytest.fixture
def sqlite_container(tmp_path: Path, clock: FakeClock) -> Iterator[Container]:
    """Return a container on a new SQLite file, with the demo campaign."""
    container = build_container(settings_for(f"sqlite:///{tmp_path / 'mainstay.db'}"), clock=clock)
    migrate_and_seed(container)
    yield container
    container.database.engine.dispose()
