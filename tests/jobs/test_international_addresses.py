"""Addresses that are not ASCII before the @: the worker learns what the mail server takes, sign-ups read it."""

import threading

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import PledgeStatus, ReminderStatus
from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.models.email import MailServerCapability, Suppression
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.domain.email.capabilities import record_smtputf8
from tests.api.client import assert_problem, count, only_reminder, post_reminder
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.gateways.smtp_server import SmtpTestServer
from tests.jobs.fake_mailer import email_of, send_reminders
from tests.pages.html import path_of, visible_text
from tests.pages.test_sandbox_checkout import open_checkout, press

JOSE = "josé@example.org"


def container_for(container: Container, clock: FakeClock, sink: SmtpTestServer) -> Container:
    """Return a container on the same database that sends to this server."""
    url = container.database.engine.url.render_as_string(hide_password=False)
    return build_container(settings_for(url, MAIL_URL=sink.url, PUBLIC_URL="http://desk.test"), clock=clock)


def send_all(smtp: Container) -> None:
    send_reminders(smtp, threading.Event())


@pytest.mark.parametrize("supported", [True, False])
def test_worker_learns_smtputf8_at_connect_and_sign_ups_know_it(
    client: FlaskClient, container: Container, clock: FakeClock, supported: bool
) -> None:
    with SmtpTestServer(supports_smtputf8=supported) as sink:
        smtp = container_for(container, clock, sink)
        web = create_app(smtp).test_client()
        # Nothing is known yet, so the address is accepted.
        assert post_reminder(web, email="first-é@example.org").status_code == 201
        post_reminder(web, email="reader@müller.example")
        clock.advance(days=40)
        send_all(smtp)
        with container.database.read_only() as session:
            known = session.scalars(select(MailServerCapability)).one()
            assert (known.server, known.supports_smtputf8) == (f"127.0.0.1:{sink.port}", supported)
        assert "reader@xn--mller-kva.example" in sink.recipients
        assert ("first-é@example.org" in sink.recipients) is supported
        response = post_reminder(web, email=JOSE, lang="ru")
        if supported:
            assert response.status_code == 201
        else:
            problem = assert_problem(response, 422, "address_not_supported", field="email")
            assert "нелатинские" in problem["errors"]["email"][0]
            assert JOSE not in response.text
        # An international domain needs nothing of the server.
        assert post_reminder(web, email="leser@müller.example").status_code == 201
        page = web.post("/support/default/reminder", data={"email": JOSE})
        assert page.status_code == (303 if supported else 422)
        assert ("letters such as é" in page.text) is not supported
        assert web.post("/me", data={"email": JOSE}).status_code == (303 if supported else 422)
        smtp.database.engine.dispose()


def test_address_that_the_server_cannot_take_fails_for_good_with_its_reason(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    with SmtpTestServer(supports_smtputf8=False) as sink:
        smtp = container_for(container, clock, sink)
        post_reminder(client, email=JOSE)
        clock.advance(days=40)
        send_all(smtp)
        reminder = only_reminder(container)
        assert (reminder.status, email_of(container, reminder.id).attempts) == (ReminderStatus.FAILED, 1)
        assert reminder.reason == "the server cannot send to international addresses"
        for _ in range(3):
            clock.advance(days=2)
            send_all(smtp)
        assert email_of(container, reminder.id).attempts == 1
        # The address is not dead, so it is not suppressed.
        assert count(container, Suppression) == 0
        assert count(container, Reminder) == 1
        smtp.database.engine.dispose()


def test_another_mail_server_is_unknown_again(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    with SmtpTestServer(supports_smtputf8=False) as sink:
        smtp = container_for(container, clock, sink)
        with container.database.transaction() as session:
            record_smtputf8(session, "127.0.0.1:1", supported=False, now=clock())
        assert post_reminder(create_app(smtp).test_client(), email=JOSE).status_code == 201
        smtp.database.engine.dispose()


def test_server_that_learns_smtputf8_is_believed(container: Container, clock: FakeClock) -> None:
    for supported in (False, False, True):
        clock.advance(seconds=5)
        with container.database.transaction() as session:
            record_smtputf8(session, "mail.example:587", supported=supported, now=clock())
    with container.database.read_only() as session:
        assert session.scalars(select(MailServerCapability)).one().supports_smtputf8


def test_development_outbox_takes_every_address(client: FlaskClient) -> None:
    assert post_reminder(client, email=JOSE).status_code == 201


@pytest.mark.parametrize("supported", [True, False])
def test_sandbox_checkout_takes_only_addresses_that_the_mail_server_can_reach(
    container: Container, clock: FakeClock, supported: bool
) -> None:
    with SmtpTestServer(supports_smtputf8=supported) as sink:
        smtp = container_for(container, clock, sink)
        with smtp.database.transaction() as session:
            record_smtputf8(session, f"127.0.0.1:{sink.port}", supported=supported, now=clock())
        web = create_app(smtp).test_client()
        response = press(web, open_checkout(web), "pay", email=JOSE)
        if supported:
            assert response.status_code == 303
        else:
            assert response.status_code == 422
            assert "letters such as é before the @" in visible_text(response.text)
            with smtp.database.read_only() as session:
                assert session.scalars(select(Pledge.status)).one() == PledgeStatus.PENDING
        # An international domain, or no address at all, needs nothing of the server.
        for email in ("leser@müller.example", ""):
            assert press(web, open_checkout(web), "pay", email=email).status_code == 303


@pytest.mark.parametrize(
    ("email", "supported", "is_told"),
    [(JOSE, False, True), (JOSE, True, False), ("jose@example.org", False, False)],
)
def test_thank_you_page_says_that_no_receipt_can_be_sent(
    container: Container, clock: FakeClock, email: str, supported: bool, is_told: bool
) -> None:
    with SmtpTestServer(supports_smtputf8=supported) as sink:
        smtp = container_for(container, clock, sink)
        web = create_app(smtp).test_client()
        # The gateway took the address on its own page, or the server's answer was not known yet.
        response = press(web, open_checkout(web), "pay", email=email)
        assert response.status_code == 303
        with smtp.database.transaction() as session:
            record_smtputf8(session, f"127.0.0.1:{sink.port}", supported=supported, now=clock())
        text = visible_text(web.get(path_of(response.location)).text)
        assert ("We can’t email the address you gave" in text) is is_told
        assert email not in text
