"""Emails about gifts in the sandbox reach only the outbox and the addresses in SANDBOX_RECIPIENTS."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select

from schemas.enums import EmailKind, EmailStatus
from service.bootstrap import build_container
from service.container import Container
from service.db.models.email import DevOutboxEmail, OutgoingEmail
from service.setting_values import SettingsError
from service.settings import read_settings
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.db.factories import create_paid_pledge, create_reminder
from tests.gateways.smtp_server import SmtpTestServer
from tests.jobs.fake_mailer import run_send_reminders
from tests.jobs.notifications import enqueue, find, put_pledge, run

ABOUT_PLEDGES = (
    EmailKind.RECEIPT,
    EmailKind.PAYMENT_FAILED,
    EmailKind.RENEWAL,
    EmailKind.CANCELLED,
    EmailKind.REFUND,
)
NOT_SENT = (EmailStatus.SKIPPED, "not_in_sandbox_recipients")


@pytest.fixture
def server() -> Iterator[SmtpTestServer]:
    with SmtpTestServer() as server:
        yield server


@pytest.fixture
def sending(
    container: Container, server: SmtpTestServer, migrated_database: str, clock: FakeClock
) -> Iterator[Callable[..., Container]]:
    """Return a function that makes a container on the same database whose emails leave to a real mail server."""
    made: list[Container] = []

    def make(**settings: str) -> Container:
        made.append(build_container(settings_for(migrated_database, MAIL_URL=server.url, **settings), clock=clock))
        return made[-1]

    yield make
    for container in made:
        container.database.engine.dispose()


def receivers(server: SmtpTestServer) -> list[str]:
    return sorted(server.recipients)


def outcomes(container: Container) -> set[tuple[EmailStatus, str | None]]:
    with container.database.read_only() as session:
        return {(row.status, row.reason) for row in session.scalars(select(OutgoingEmail))}


def test_strangers_named_in_the_sandbox_get_no_receipts(
    sending: Callable[..., Container], server: SmtpTestServer
) -> None:
    container = sending()
    for number in range(60):
        create_paid_pledge(container, f"stranger-{number % 3}@news.example")
    for _ in range(4):
        run(container)
    assert receivers(server) == []
    assert outcomes(container) == {NOT_SENT}


@pytest.mark.parametrize("listed", ["staff@paper.example", " other@paper.example, STAFF@Paper.Example ,"])
def test_listed_recipient_gets_receipts_of_the_sandbox(
    sending: Callable[..., Container], server: SmtpTestServer, listed: str
) -> None:
    container = sending(SANDBOX_RECIPIENTS=listed)
    for address in ("Staff@paper.example", "staff+1@paper.example", "staff@paper.example.evil.example"):
        create_paid_pledge(container, address)
    run(container)
    assert receivers(server) == ["Staff@paper.example"]
    assert outcomes(container) == {NOT_SENT, (EmailStatus.SENT, None)}


@pytest.mark.parametrize("kind", ABOUT_PLEDGES)
def test_every_email_about_a_pledge_follows_the_rule(
    sending: Callable[..., Container], server: SmtpTestServer, kind: EmailKind, clock: FakeClock
) -> None:
    container = sending()
    status = {"status": "past_due"} if kind == EmailKind.PAYMENT_FAILED else {}
    test = put_pledge(container, to="stranger@news.example", gateway="sandbox", **status)
    real = put_pledge(container, to="supporter@news.example", gateway="stripe", **status)
    skipped = enqueue(container, kind, to="stranger@news.example", pledge_id=test)
    sent = enqueue(container, kind, to="supporter@news.example", pledge_id=real)
    run(container)
    assert receivers(server) == ["supporter@news.example"]
    assert (find(container, skipped).status, find(container, skipped).reason) == NOT_SENT
    assert find(container, sent).status == EmailStatus.SENT


def test_rule_stays_once_money_is_real(sending: Callable[..., Container], server: SmtpTestServer) -> None:
    create_paid_pledge(sending(), "stranger@news.example")
    live = sending(GATEWAY="stripe", STRIPE_SECRET_KEY="sk_live_x", STRIPE_WEBHOOK_SECRET="whsec_x")
    run(live)
    assert (receivers(server), outcomes(live)) == ([], {NOT_SENT})


def test_reminders_and_sign_in_links_are_real_in_the_sandbox(
    sending: Callable[..., Container], server: SmtpTestServer, clock: FakeClock
) -> None:
    container = sending()
    enqueue(container, EmailKind.SIGN_IN, to="reader@news.example")
    run(container)
    assert receivers(server) == ["reader@news.example"]
    create_reminder(container, "waiting@news.example")
    clock.advance(days=32)
    run_send_reminders(container)
    assert receivers(server) == ["reader@news.example", "waiting@news.example"]


def test_outbox_keeps_every_receipt(container: Container) -> None:
    for number in range(3):
        create_paid_pledge(container, f"stranger-{number}@news.example")
    run(container)
    with container.database.read_only() as session:
        assert len(session.scalars(select(DevOutboxEmail)).all()) == 3
    assert outcomes(container) == {(EmailStatus.SENT, None)}


@pytest.mark.parametrize("value", ["staff", "Staff <staff@paper.example>", "*", "@paper.example", "a@b\nBcc: c@d"])
def test_invalid_recipients_stop_the_start(value: str) -> None:
    with pytest.raises(SettingsError, match="SANDBOX_RECIPIENTS must be one or more email addresses"):
        read_settings({"SANDBOX_RECIPIENTS": value})
