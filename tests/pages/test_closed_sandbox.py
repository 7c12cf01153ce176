"""With a real gateway in use, a checkout of the sandbox is closed: nothing is paid there, and it leads on."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.models.payment import Payment
from service.db.models.supporter import Supporter
from service.domain.errors import SandboxCheckoutClosed
from service.domain.payments.sandbox import decline_checkout, pay_checkout
from service.domain.ports import NotificationEmail, ReminderEmail
from tests.api.client import count, post_pledge
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.db.factories import create_paid_pledge, create_reminder
from tests.jobs.fake_mailer import FakeMailer, run_send_reminders
from tests.pages.html import BROWSER, parse_forms, visible_text
from tests.pages.test_sandbox_checkout import open_checkout, payments, press, the_pledge

LIVE = {"GATEWAY": "stripe", "STRIPE_SECRET_KEY": "sk_live_x", "STRIPE_WEBHOOK_SECRET": "whsec_x"}


@pytest.fixture
def live(container: Container, clock: FakeClock, migrated_database: str) -> Iterator[Container]:
    """Return a container on the same database that takes real money."""
    live = build_container(settings_for(migrated_database, **LIVE), clock=clock)
    yield live
    live.database.engine.dispose()


@pytest.fixture
def live_client(live: Container) -> FlaskClient:
    return create_app(live).test_client()


@pytest.mark.parametrize("frequency", ["once", "monthly", "annual"])
@pytest.mark.parametrize("outcome", ["pay", "decline"])
def test_open_checkout_is_gone_once_money_is_real(
    container: Container, client: FlaskClient, live_client: FlaskClient, frequency: str, outcome: str
) -> None:
    checkout = open_checkout(client, frequency=frequency)
    data = {"outcome": outcome, "email": "stranger@example.org"}
    for response in (live_client.get(checkout), live_client.post(checkout, data=data)):
        assert response.status_code == 410
        page = visible_text(response.text)
        assert "This test checkout is closed" in page
        assert "You haven’t been charged here" in page
        assert f"/support/default?frequency={frequency}&amp;amount=" in response.text
        assert parse_forms(response.text) == []
        assert response.headers["Cache-Control"] == "no-store"
    assert (the_pledge(container).status, payments(container), count(container, Supporter)) == ("pending", [], 0)


def test_paid_or_unknown_checkout_is_gone_or_not_found(client: FlaskClient, live_client: FlaskClient) -> None:
    checkout = open_checkout(client)
    press(client, checkout, "pay")
    assert live_client.get(checkout, headers=BROWSER).status_code == 410
    assert live_client.get("/sandbox/checkout/x", headers=BROWSER).status_code == 404
    assert live_client.post(checkout, data={"outcome": "refund"}).status_code == 400
    russian = open_checkout(client, lang="ru")
    assert "Эта тестовая оплата закрыта" in visible_text(live_client.get(russian).text)


def test_checkout_opens_again_when_the_sandbox_is_the_gateway_again(
    container: Container, client: FlaskClient, live_client: FlaskClient
) -> None:
    checkout = open_checkout(client)
    assert live_client.post(checkout, data={"outcome": "pay"}).status_code == 410
    press(client, checkout, "pay")
    assert the_pledge(container).status == "active"


def test_domain_refuses_to_pay_in_a_closed_sandbox(live: Container, client: FlaskClient) -> None:
    token = post_pledge(client).json["checkout_url"].rpartition("/")[2]
    with live.database.transaction() as session:
        with pytest.raises(SandboxCheckoutClosed):
            pay_checkout(session, live.gateway, token, email=None, now=live.clock())
        with pytest.raises(SandboxCheckoutClosed):
            decline_checkout(session, live.gateway, token, attempt="a" * 16, now=live.clock())
    assert count(live, Payment) == 0


def test_gift_in_the_sandbox_holds_no_reminder_back_once_money_is_real(
    container: Container, live: Container, clock: FakeClock
) -> None:
    create_reminder(container, "reader@example.org")
    clock.advance(days=1)
    create_paid_pledge(container, "reader@example.org")
    clock.advance(days=32)
    mailer = FakeMailer()
    run_send_reminders(live, mailer)
    assert [type(email) for email in mailer.sent].count(ReminderEmail) == 1


def test_gift_in_the_sandbox_counts_while_it_is_the_gateway(container: Container, clock: FakeClock) -> None:
    create_reminder(container, "reader@example.org")
    clock.advance(days=1)
    create_paid_pledge(container, "reader@example.org")
    clock.advance(days=32)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    # The receipt is sent, and the reminder is not.
    assert [type(email) for email in mailer.sent] == [NotificationEmail]
