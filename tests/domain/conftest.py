"""The books of a desk on real PostgreSQL."""

import pytest

from service.desk import Desk
from tests.domain.ledger import Ledger


@pytest.fixture
def ledger(desk: Desk) -> Ledger:
    """Return the books of a desk."""
    return Ledger(desk)
