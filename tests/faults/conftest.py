"""A desk by the real clock, beside which real workers run, and a mail server that does as it is told."""

from collections.abc import Callable, Iterator

import pytest

from service.container import utc_now
from tests.faults.smtp_sink import SmtpSinkProcess


@pytest.fixture
def clock() -> Callable:
    """Return the clock of every real process, in place of one that a test turns."""
    return utc_now


@pytest.fixture
def sink() -> Iterator[SmtpSinkProcess]:
    """Return a mail server in a process of its own."""
    with SmtpSinkProcess() as sink:
        yield sink


@pytest.fixture
def url(container) -> str:
    """Return the URL of the database that the workers share with the desk."""
    return container.settings.database_url
