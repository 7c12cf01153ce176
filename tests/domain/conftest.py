"""A ledger on real PostgreSQL, and a way to interleave other transactions with its statements."""

from collections.abc import Iterator

import pytest

from service.container import Container
from tests.domain.ledger import Ledger
from tests.interleaving import Interleaving, interleaving


@pytest.fixture
def ledger(container: Container) -> Ledger:
    return Ledger(container)


@pytest.fixture
def between(container: Container) -> Iterator[Interleaving]:
    with interleaving(container.database.engine) as between:
        yield between
