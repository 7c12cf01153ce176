"""Open invoices: the reader is led to confirm or pay one, and a new card is tried at once."""

import threading

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from jobs.payments import process_gateway_events
from schemas.enums import EmailKind, PledgeStatus
from service.container import Container
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.errors import PaymentsUnavailable
from service.domain.payments.reconciliation import reconcile
from service.domain.pledges.links import pledge_token
from service.domain.pledges.subscriptions import cancel_pledge
from tests.events.stripe_fixture import StripeScenario
from tests.events.test_event_notifications import emails, notifications, start_subscription
from tests.jobs.notifications import run as send

RUNNING = threading.Event()


@pytest.fixture
def subscription(scenario: StripeScenario) -> str:
    """Return the paid monthly subscription of a pledge, with webhooks connected."""
    return start_subscription(scenario)


def only_pledge(container: Container) -> Pledge:
    with container.database.read_only() as session:
        return session.scalars(select(Pledge)).one()


def pledge_page(container: Container, client: FlaskClient) -> str:
    with container.database.read_only() as session:
        token = pledge_token(
            container.database.keyring, session.scalars(select(Pledge)).one(), now=container.clock()
        )
    return client.get(f"/p/{token}?lang=en").text


def pay_calls(scenario: StripeScenario) -> int:
    return scenario.stripe.faults.calls["POST /v1/invoices/{id}/pay"]


@pytest.mark.parametrize("is_failure", [True, False])
def test_confirmation_is_asked_for_once_and_leads_to_the_hosted_invoice(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str, *, is_failure: bool
) -> None:
    url = scenario.stripe.require_action(subscription, is_failure=is_failure)["hosted_invoice_url"]
    scenario.run_until_idle()
    assert only_pledge(container).status == PledgeStatus.PAST_DUE
    page = pledge_page(container, client)
    assert f'href="{url}"' in page
    assert "Confirm the payment" in page
    send(container)
    assert len(notifications(container, EmailKind.PAYMENT_FAILED)) == 1
    email = emails(container)[-1]
    assert "confirm your payment of $5" in email
    assert url in email
    scenario.stripe.confirm_payment(subscription)
    scenario.run_until_idle()
    assert only_pledge(container).status == PledgeStatus.ACTIVE
    assert url not in pledge_page(container, client)


def test_failed_payment_leads_to_the_open_invoice(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str
) -> None:
    scenario.stripe.fail_renewal(subscription)
    scenario.run_until_idle()
    url = scenario.stripe.get(only_pledge(container).open_invoice_reference)["hosted_invoice_url"]
    assert f'href="{url}"' in pledge_page(container, client)
    send(container)
    assert url in emails(container)[-1]
    with container.database.engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT open_invoice_url FROM pledges").scalar()
    assert url.encode() not in bytes(stored)


def test_new_card_is_tried_at_once(scenario: StripeScenario, container: Container, subscription: str) -> None:
    scenario.stripe.fail_renewal(subscription)
    scenario.run_until_idle()
    scenario.stripe.advance(hours=1)
    save_card(scenario, container, subscription)
    process_gateway_events(container, RUNNING)
    scenario.stripe.deliver_events()
    scenario.run_until_idle()
    found = only_pledge(container)
    assert (found.status, found.invoice_retry_requested_at) == (PledgeStatus.ACTIVE, None)
    assert pay_calls(scenario) == 1
    process_gateway_events(container, RUNNING)
    assert pay_calls(scenario) == 1


def test_new_card_is_tried_although_the_failure_is_reported_after_it(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.deliver = None
    before = len(scenario.stripe.events)
    scenario.stripe.fail_renewal(subscription)
    scenario.stripe.advance(hours=1)
    save_card(scenario, container, subscription)
    for event in scenario.stripe.events[:before:-1]:
        scenario.deliver_webhooks(event)
        process_gateway_events(container, RUNNING)
    scenario.run_until_idle()
    process_gateway_events(container, RUNNING)
    assert pay_calls(scenario) == 1
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    process_gateway_events(container, RUNNING)
    assert only_pledge(container).status == PledgeStatus.ACTIVE
    assert pay_calls(scenario) == 1


def test_declined_new_card_is_told_and_not_tried_again(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.fail_renewal(subscription)
    scenario.run_until_idle()
    scenario.stripe.advance(hours=1)
    save_card(scenario, container, subscription, decline_code="expired_card")
    for _ in range(3):
        process_gateway_events(container, RUNNING)
        scenario.stripe.deliver_events()
    assert pay_calls(scenario) == 1
    assert only_pledge(container).status == PledgeStatus.PAST_DUE
    assert len(notifications(container, EmailKind.PAYMENT_FAILED)) == 2


def test_opening_the_portal_tries_nothing(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.fail_renewal(subscription)
    scenario.run_until_idle()
    customer = scenario.stripe.get(subscription)["customer"]
    container.gateway.create_payment_method_session(
        customer, [subscription], return_url="https://desk.test/me", lang="en"
    )
    scenario.stripe.deliver_events()
    process_gateway_events(container, RUNNING)
    assert pay_calls(scenario) == 0


def test_retry_waits_while_stripe_is_down_and_reconciliation_repeats_it(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.fail_renewal(subscription)
    scenario.run_until_idle()
    scenario.stripe.advance(hours=1)
    scenario.stripe.deliver = None
    scenario.stripe.faults.respond(503, "POST /v1/invoices/{id}/pay", times=4)
    save_card(scenario, container, subscription)
    for _ in range(2):
        # No webhook came: the reconciliation finds the card, the payment that it ordered, and what is left to do.
        reconcile(
            container.database.transaction,
            container.gateway,
            container.event_source,
            urls=container.urls,
            clock=container.clock,
        )
        container.clock.advance(minutes=5)
    scenario.stripe.faults.clear()
    reconcile(
        container.database.transaction,
        container.gateway,
        container.event_source,
        urls=container.urls,
        clock=container.clock,
    )
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    assert only_pledge(container).status == PledgeStatus.ACTIVE
    assert sum(charge["status"] == "succeeded" for charge in scenario.stripe.account.all("charge")) == 2


def test_invoice_paid_outside_stripe_is_no_payment_of_stripes(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.fail_renewal(subscription)
    scenario.run_until_idle()
    scenario.stripe.advance(hours=1)
    scenario.stripe.mark_paid_outside(subscription)
    scenario.run_until_idle()
    assert only_pledge(container).status == PledgeStatus.ACTIVE
    with container.database.read_only() as session:
        statuses = sorted(session.scalars(select(Payment.status)).all())
    assert statuses == ["failed", "succeeded"]
    assert len(notifications(container, EmailKind.RECEIPT)) == 1


def save_card(
    scenario: StripeScenario, container: Container, subscription: str, *, decline_code: str | None = None
) -> None:
    """Open the portal, and save another card there."""
    customer = scenario.stripe.get(subscription)["customer"]
    container.gateway.create_payment_method_session(
        customer, [subscription], return_url="https://desk.test/me", lang="en"
    )
    scenario.stripe.update_card(customer, decline_code=decline_code)


def test_reader_who_cancelled_is_not_charged_for_the_open_invoice(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.fail_renewal(subscription)
    scenario.run_until_idle()
    scenario.stripe.advance(hours=1)
    save_card(scenario, container, subscription)
    scenario.run_event_job()
    pledge = only_pledge(container)
    assert pledge.invoice_retry_requested_at is not None
    cancel_pledge(container.database.transaction, container.gateway, pledge.id, clock=container.clock)
    process_gateway_events(container, RUNNING)
    assert pay_calls(scenario) == 0
    assert only_pledge(container).invoice_retry_requested_at is None


def test_reader_who_cancels_during_an_outage_is_not_charged_for_the_open_invoice(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.fail_renewal(subscription)
    scenario.run_until_idle()
    scenario.stripe.advance(hours=1)
    save_card(scenario, container, subscription)
    scenario.run_event_job()
    scenario.stripe.faults.respond(503, "DELETE /v1/subscriptions/{id}", times=5)
    with pytest.raises(PaymentsUnavailable):
        cancel_pledge(
            container.database.transaction, container.gateway, only_pledge(container).id, clock=container.clock
        )
    process_gateway_events(container, RUNNING)
    assert pay_calls(scenario) == 0
