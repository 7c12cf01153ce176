"""A factory of SMTP mailers that are closed after each test."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from service.db.clock import utc_now
from service.gateways.email.renderer import EmailRenderer
from service.gateways.email.smtp import SmtpMailer
from service.gateways.email.smtp_refusals import ConnectRefusals
from tests.conftest import settings_for


@pytest.fixture
def mailer_to() -> Iterator[Callable[..., SmtpMailer]]:
    """Return a function that creates a mailer for a MAIL_URL."""
    with contextlib.ExitStack() as open_mailers:

        def make(
            url: str,
            *,
            sender: str = "The Paper <support@paper.example>",
            max_per_connection: int = 1000,
            ehlo: str = "",
            refusals: ConnectRefusals | None = None,
        ):
            mail = settings_for("sqlite://", MAIL_URL=url, MAIL_FROM=sender, MAIL_EHLO=ehlo).mail
            assert mail.server is not None
            renderer = EmailRenderer(mail.sender, utc_now)
            mailer = SmtpMailer(mail.server, renderer, per_connection=max_per_connection, refusals=refusals)
            open_mailers.callback(mailer.close)
            return mailer

        yield make
