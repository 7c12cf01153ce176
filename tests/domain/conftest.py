"""The books of a desk on real PostgreSQL."""

from collections.abc import Iterator

import pytest

from service.desk import Desk
from tests.domain.ledger import Ledger
from tests.interleaving import Interleaving, interleaving


@pytest.fixture
def ledger(desk: Desk) -> Ledger:
    """Return the books of a desk."""
    return Ledger(desk)


@pytest.fixture
def between(desk: Desk) -> Iterator[Interleaving]:
    """Return a way to act between the statements of that desk."""
    with interleaving(desk.database.engine) as between:
        yield between
