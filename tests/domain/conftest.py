"""The books of a desk on real PostgreSQL."""

from collections.abc import Iterator

import pytest

from service.container import Container
from tests.domain.ledger import Ledger
from tests.interleaving import Interleaving, interleaving


@pytest.fixture
def ledger(container: Container) -> Ledger:
    """Return the books of a desk."""
    return Ledger(container)


@pytest.fixture
def between(container: Container) -> Iterator[Interleaving]:
    """Return a way to act between the statements of that desk."""
    with interleaving(container.database.engine) as between:
        yield between
