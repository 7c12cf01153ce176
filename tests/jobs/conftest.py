"""A desk on SQLite, where as much must hold as on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.commands.migrate import migrate_and_seed
from service.desk import Desk
from service.wiring import build_desk
from tests.clock import Clock
from tests.conftest import settings_for


@pytest.fixture
def sqlite_desk(tmp_path: Path, clock: Clock) -> Iterator[Desk]:
    """Return a desk on an SQLite file of its own, with the demo campaign."""
    desk = build_desk(settings_for(f"sqlite:///{tmp_path / 'mainstay.db'}"), clock=clock)
    migrate_and_seed(desk)
    yield desk
    desk.database.engine.dispose()
