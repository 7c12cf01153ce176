"""The desk of the API's tests, which is made and emptied faster, and one on SQLite, where as much must hold."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.commands.migrate import migrate_and_seed
from service.desk import Desk
from service.wiring import build_desk
from tests.api.conftest import demo_terms, desk, lasting_engine
from tests.clock import Clock
from tests.conftest import settings_for

__all__ = ["demo_terms", "desk", "lasting_engine", "sqlite_desk"]


@pytest.fixture
def sqlite_desk(tmp_path: Path, clock: Clock) -> Iterator[Desk]:
    """Return a desk on an SQLite file of its own, with the demo campaign."""
    desk = build_desk(settings_for(f"sqlite:///{tmp_path / 'mainstay.db'}"), clock=clock)
    migrate_and_seed(desk)
    yield desk
    desk.database.engine.dispose()
