"""Open invoices: the reader is led to confirm or pay one, and a new card is tried at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.payments import process_gateway_events
from schemas.enums import EmailKind, PledgeStatus
from service.container import Container
from service.db.models.payment import Payment
from service.domain.errors import PaymentsUnavailable
from service.domain.payments.reconciliation import reconcile
from service.domain.payments.recovery import complete_pending_operations
from service.domain.pledges.open_invoices import charge_open_invoice
from service.domain.pledges.subscriptions import cancel_pledge
from tests.events.stripe_fixture import StripeScenario
from tests.events.subscriptions import emails, notifications, only_pledge, pledge_html, start_subscription
from tests.jobs.notifications import run as send
from tests.pages.html import BROWSER, parse_forms, visible_text

RUNNING = threading.Event()


@pytest.fixture
def subscription(scenario: StripeScenario) -> str:
    """Return the paid monthly subscription of a pledge, with webhooks connected."""
    return start_subscription(scenario)


def press_pay(client: FlaskClient, page: str, **form: str) -> str:
    """Press the button of the open invoice; return where it leads."""
    [action] = {found.action for found in parse_forms(page) if "/pay?" in found.action}
    response = client.post(action, data=form, headers=BROWSER)
    assert response.status_code == 303, response.text
    return response.location.removesuffix("&lang=en")


def pay_calls(scenario: StripeScenario) -> int:
    return scenario.stripe.faults.calls["POST /v1/invoices/{id}/pay"]


@pytest.mark.parametrize("is_failure", [True, False])
def test_confirmation_is_asked_for_once_and_leads_to_the_hosted_invoice(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str, *, is_failure: bool
) -> None:
    url = scenario.stripe.require_action(subscription, is_failure=is_failure)["hosted_invoice_url"]
    scenario.run_until_idle()
    assert only_pledge(container).status == PledgeStatus.PAST_DUE
    page = pledge_html(container, client)
    assert press_pay(client, page) == url
    assert "Confirm the payment" in page
    assert "Try my card again" not in page
    send(container)
    assert len(notifications(container, EmailKind.PAYMENT_FAILED)) == 1
    email = emails(container)[-1]
    assert "confirm your payment of $5" in email
    assert url in email
    scenario.stripe.confirm_payment(subscription)
    scenario.run_until_idle()
    assert only_pledge(container).status == PledgeStatus.ACTIVE
    assert "/pay?" not in pledge_html(container, client)


def test_failed_payment_leads_to_the_open_invoice(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str
) -> None:
    scenario.stripe.fail_renewal(subscription)
    scenario.run_until_idle()
    url = scenario.stripe.get(only_pledge(container).open_invoice_reference)["hosted_invoice_url"]
    page = pledge_html(container, client)
    assert "Pay $5 now" in page
    assert press_pay(client, page) == url
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


@pytest.fixture
def owed(scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str) -> str:
    """Return the reader's page of a pledge whose renewal failed an hour ago."""
    scenario.stripe.fail_renewal(subscription)
    scenario.run_until_idle()
    scenario.stripe.advance(hours=1)
    return pledge_html(container, client)


def charges_made(scenario: StripeScenario) -> int:
    return sum(charge["status"] == "succeeded" for charge in scenario.stripe.account.all("charge"))


def give_working_card(scenario: StripeScenario, subscription: str) -> None:
    """Let the saved card work, as after money came to the reader's account."""
    for card in scenario.stripe.account.all("payment_method"):
        card["#decline_code"] = None
    assert scenario.stripe.get(subscription)["status"] == "past_due"


def test_saved_card_is_charged_at_once_and_the_status_follows_by_event(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str, owed: str
) -> None:
    give_working_card(scenario, subscription)
    scenario.stripe.deliver = None
    location = press_pay(client, owed, card="saved")
    assert location.endswith("done=paid")
    assert "Thank you! Your payment went through." in visible_text(client.get(location, headers=BROWSER).text)
    assert only_pledge(container).status == PledgeStatus.PAST_DUE
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    pledge = only_pledge(container)
    assert (pledge.status, pledge.invoice_retry_requested_at) == (PledgeStatus.ACTIVE, None)
    assert charges_made(scenario) == 2
    assert len(notifications(container, EmailKind.RECEIPT)) == 2


def test_pressing_twice_and_a_stale_page_charge_once(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str, owed: str
) -> None:
    give_working_card(scenario, subscription)
    scenario.stripe.deliver = None
    for _ in range(2):
        assert press_pay(client, owed, card="saved").endswith("done=paid")
    # Stripe says that it is paid, although no event has arrived.
    assert press_pay(client, owed).endswith("done=settled")
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    location = press_pay(client, owed, card="saved")
    assert location.endswith("done=settled")
    assert "There’s nothing left to pay." in visible_text(client.get(location, headers=BROWSER).text)
    assert press_pay(client, owed).endswith("done=settled")
    assert charges_made(scenario) == 2


def test_simultaneous_clicks_charge_once(
    scenario: StripeScenario, container: Container, app: Flask, subscription: str, owed: str
) -> None:
    give_working_card(scenario, subscription)
    with ThreadPoolExecutor(3) as threads:
        locations = list(threads.map(lambda _: press_pay(app.test_client(), owed, card="saved"), range(3)))
    assert all("done=" in location for location in locations)
    process_gateway_events(container, RUNNING)
    scenario.stripe.deliver_events()
    scenario.run_until_idle()
    assert charges_made(scenario) == 2
    assert only_pledge(container).status == PledgeStatus.ACTIVE


def test_declined_card_is_explained_with_another_way_to_pay(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str, owed: str
) -> None:
    for card in scenario.stripe.account.all("payment_method"):
        card["#decline_code"] = "insufficient_funds"
    [action] = {found.action for found in parse_forms(owed) if "/pay?" in found.action}
    response = client.post(action, data={"card": "saved"}, headers=BROWSER)
    assert response.status_code == 409
    assert "Your bank declined the card" in visible_text(response.text)
    invoice = scenario.stripe.get(only_pledge(container).open_invoice_reference)
    assert press_pay(client, response.text) == invoice["hosted_invoice_url"]
    scenario.run_until_idle()
    pledge = only_pledge(container)
    assert (pledge.status, pledge.invoice_retry_requested_at) == (PledgeStatus.PAST_DUE, None)
    assert charges_made(scenario) == 1


def test_request_survives_an_outage_and_is_completed_once(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str, owed: str
) -> None:
    give_working_card(scenario, subscription)
    scenario.stripe.faults.respond(503, "POST /v1/invoices/{id}/pay", times=4)
    location = press_pay(client, owed, card="saved")
    assert location.endswith("done=trying")
    assert only_pledge(container).invoice_retry_requested_at is not None
    scenario.stripe.faults.clear()
    container.clock.advance(minutes=10)
    complete_pending_operations(
        container.database.transaction, container.gateway, urls=container.urls, clock=container.clock
    )
    scenario.stripe.deliver_events()
    scenario.run_until_idle()
    assert only_pledge(container).status == PledgeStatus.ACTIVE
    assert charges_made(scenario) == 2


def test_crash_after_the_charge_charges_nothing_more(
    scenario: StripeScenario, container: Container, subscription: str, owed: str
) -> None:
    give_working_card(scenario, subscription)
    pledge_id = only_pledge(container).id
    transactions = 0

    @contextmanager
    def crashing() -> Iterator[Session]:
        nonlocal transactions
        transactions += 1
        if transactions == 3:
            raise KeyboardInterrupt
        with container.database.transaction() as session:
            yield session

    with pytest.raises(KeyboardInterrupt):
        charge_open_invoice(crashing, container.gateway, pledge_id, clock=container.clock)
    assert charges_made(scenario) == 2
    assert only_pledge(container).invoice_retry_requested_at is not None
    process_gateway_events(container, RUNNING)
    scenario.stripe.deliver_events()
    scenario.run_until_idle()
    assert charges_made(scenario) == 2
    assert only_pledge(container).status == PledgeStatus.ACTIVE


def test_page_of_the_invoice_waits_for_stripe(
    scenario: StripeScenario, client: FlaskClient, owed: str, subscription: str
) -> None:
    scenario.stripe.faults.respond(503, "GET /v1/invoices/{id}", times=4)
    [action] = {found.action for found in parse_forms(owed) if "/pay?" in found.action}
    response = client.post(action, headers=BROWSER)
    assert response.status_code == 503
    assert "You haven’t been charged." in visible_text(response.text)


def test_reader_who_cancelled_has_nothing_to_pay(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str, owed: str
) -> None:
    cancel_pledge(
        container.database.transaction, container.gateway, only_pledge(container).id, clock=container.clock
    )
    assert press_pay(client, owed, card="saved").endswith("done=settled")
    assert pay_calls(scenario) == 0
