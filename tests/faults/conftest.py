"""Fixtures for worker processes: the real clock, a mail server in its own process, and the database's URL."""

from collections.abc import Callable, Iterator

import pytest

from service.db.clock import utc_now
from tests.faults.smtp_sink import SmtpSinkProcess


@pytest.fixture
def clock() -> Callable:
    """Return the clock of every real process, instead of one that the test advances."""
    return utc_now


@pytest.fixture
def sink() -> Iterator[SmtpSinkProcess]:
    """Return a mail server in its own process."""
    with SmtpSinkProcess() as sink:
        yield sink


@pytest.fixture
def url(container) -> str:
    """Return the URL of the database that the workers share with the test."""
    return container.settings.database_url
