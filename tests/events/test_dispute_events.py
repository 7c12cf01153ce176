"""Disputes and early fraud warnings from Stripe's events to the ledger, refunds and alerts."""

import threading
import uuid
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from jobs.payments import fetch_balance_transactions, process_gateway_events, reconcile_payments
from schemas.enums import DisputeStatus, EmailKind, Frequency, PaymentStatus, PledgeStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.payment import Dispute, FraudWarning, Payment
from service.db.models.pledge import Pledge
from service.domain.ledger.totals import totals_by_currency
from tests.api.client import assert_problem, auth_headers, get_json, new_idempotency_key
from tests.events.stripe_fixture import StripeScenario
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson

RUNNING = threading.Event()


@pytest.fixture
def auth(container: Container) -> dict[str, str]:
    return auth_headers(container, "read", "manage")


def pay(scenario: StripeScenario, frequency: Frequency = Frequency.ONCE, amount: int = 1000) -> StripeJson:
    """Pay an amount and process the events; return the charge."""
    charge = scenario.stripe.pay(scenario.session_of(scenario.create_checkout(frequency, amount=amount)))
    deliver(scenario)
    return charge


def deliver(scenario: StripeScenario) -> None:
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()


def dispute_row(container: Container) -> Dispute:
    with container.database.read_only() as session:
        return session.scalars(select(Dispute)).one()


def payment_row(container: Container) -> Payment:
    with container.database.read_only() as session:
        return session.scalars(select(Payment)).one()


def net(container: Container) -> int:
    with container.database.read_only() as session:
        return totals_by_currency(session)[0].net


def alerts(container: Container) -> list[str]:
    """Return the subjects of the emails to staff."""
    with container.database.read_only() as session:
        query = select(OutgoingEmail.subject).where(OutgoingEmail.kind == EmailKind.ALERT)
        return [str(subject) for subject in session.scalars(query.order_by(OutgoingEmail.id))]


def test_inquiry_withholds_nothing_until_it_escalates(
    scenario: StripeScenario, container: Container, stripe: FakeStripe
) -> None:
    inquiry = stripe.open_inquiry(pay(scenario)["id"])
    deliver(scenario)
    assert (dispute_row(container).status, net(container)) == (DisputeStatus.INQUIRY, 1000)
    assert payment_row(container).status == PaymentStatus.SUCCEEDED
    stripe.escalate_inquiry(inquiry["id"])
    deliver(scenario)
    assert (dispute_row(container).status, net(container)) == (DisputeStatus.OPEN, 0)
    assert payment_row(container).status == PaymentStatus.DISPUTED
    container.clock.advance(seconds=1)
    stripe.close_dispute(inquiry["id"], "lost")
    deliver(scenario)
    assert (dispute_row(container).status, net(container)) == (DisputeStatus.LOST, 0)
    assert alerts(container) == ["A bank asks about a payment of $10", "A payment of $10 is disputed"]


def test_dispute_without_balance_transactions_follows_its_status(
    scenario: StripeScenario, container: Container, stripe: FakeStripe
) -> None:
    dispute = stripe.open_dispute(pay(scenario)["id"])
    container.clock.advance(seconds=1)
    stripe.close_dispute(dispute["id"], "lost")
    events = stripe.events
    for event in events:
        event["data"]["object"].pop("balance_transactions", None)
    scenario.deliver_webhooks(*events)
    scenario.run_until_idle()
    assert (dispute_row(container).status, dispute_row(container).withheld_minor) == (DisputeStatus.LOST, 1000)


def test_partial_loss_leaves_the_rest_refundable(
    scenario: StripeScenario, container: Container, stripe: FakeStripe, client: FlaskClient, auth: dict[str, str]
) -> None:
    dispute = stripe.open_dispute(pay(scenario)["id"], 400)
    deliver(scenario)
    payment_id = payment_row(container).id
    url = f"/v1/admin/payments/{payment_id}/refund"

    def refund(**body: int):
        return client.post(url, headers=auth | {"Idempotency-Key": new_idempotency_key()}, json=body)

    # The bank has not decided yet, and Stripe would refuse.
    assert_problem(refund(), 409, "illegal_move")
    container.clock.advance(seconds=1)
    stripe.close_dispute(dispute["id"], "lost")
    deliver(scenario)
    assert payment_row(container).status == PaymentStatus.PARTIALLY_REFUNDED
    assert net(container) == 600
    assert_problem(refund(amount=601), 422, "refund_too_large", field="amount", says="600")
    assert refund().json["amount"] == 600
    assert net(container) == 0
    assert payment_row(container).status == PaymentStatus.DISPUTED
    assert_problem(refund(), 409, "illegal_move")


def test_part_that_comes_back_is_retained_again(
    scenario: StripeScenario, container: Container, stripe: FakeStripe, client: FlaskClient, auth: dict[str, str]
) -> None:
    dispute = stripe.open_dispute(pay(scenario)["id"])
    container.clock.advance(seconds=1)
    stripe.close_dispute(dispute["id"], "lost", amount=400, reinstated=600)
    deliver(scenario)
    row = dispute_row(container)
    assert (row.status, row.amount_minor, row.withheld_minor) == (DisputeStatus.LOST, 400, 400)
    assert net(container) == 600
    [item] = get_json(client, auth, f"/v1/admin/pledges/{payment_row(container).pledge_id}/payments")["items"]
    [shown] = item["disputes"]
    assert (shown["status"], shown["amount"], shown["withheld"], shown["reason"]) == (
        "lost",
        400,
        400,
        "fraudulent",
    )
    assert shown["status_at"] == "2026-11-23T09:30:01Z"


def test_listing_tells_what_a_dispute_withholds_when_its_events_do_not(
    scenario: StripeScenario, container: Container, stripe: FakeStripe
) -> None:
    dispute = stripe.open_dispute(pay(scenario)["id"])
    container.clock.advance(seconds=1)
    stripe.close_dispute(dispute["id"], "lost", reinstated=600)
    events = [event for event in stripe.events if event["type"] == "charge.dispute.created"]
    scenario.deliver_webhooks(*events)
    scenario.run_until_idle()
    assert dispute_row(container).withheld_minor == 1000
    assert fetch_balance_transactions(container, RUNNING) == {"fetched": 3}
    assert dispute_row(container).withheld_minor == 400
    assert net(container) == 600


@pytest.mark.parametrize("frequency", [Frequency.ONCE, Frequency.MONTHLY])
def test_reconciliation_finds_disputes_and_warnings_that_no_webhook_reported(
    scenario: StripeScenario, container: Container, stripe: FakeStripe, frequency: Frequency
) -> None:
    charge = pay(scenario, frequency)
    stripe.warn_of_fraud(charge["id"])
    inquiry = stripe.open_inquiry(charge["id"])
    stripe.escalate_inquiry(inquiry["id"])
    stripe.review_dispute(inquiry["id"])
    container.clock.advance(seconds=1)
    stripe.close_dispute(inquiry["id"], "won")
    container.clock.advance(seconds=1)
    stripe.close_dispute(inquiry["id"], "lost")
    assert reconcile_payments(container, RUNNING) is not None
    # Events of a payment that is not known by its charge yet wait before Stripe is asked.
    scenario.run_until_idle()
    row = dispute_row(container)
    assert (row.status, row.withheld_minor) == (DisputeStatus.LOST, 1000)
    with container.database.read_only() as session:
        assert len(session.scalars(select(FraudWarning)).all()) == 1


def test_dispute_of_another_product_is_ignored(
    scenario: StripeScenario, container: Container, stripe: FakeStripe
) -> None:
    charge = pay(scenario)
    for name in ("payment_intent", "charge"):
        found = stripe.get(charge["id"] if name == "charge" else charge["payment_intent"])
        found["metadata"] = {}
    events_before = len(stripe.events)
    stripe.warn_of_fraud(charge["id"])
    with container.database.transaction() as session:
        session.execute(Payment.__table__.update().values(gateway_reference="pi_another"))
    scenario.deliver_webhooks(*stripe.events[events_before:])
    scenario.run_until_idle()
    with container.database.read_only() as session:
        assert session.scalars(select(FraudWarning)).all() == []
    assert alerts(container) == []


def test_early_fraud_warning_is_recorded_once_and_told_to_staff(
    scenario: StripeScenario, container: Container, stripe: FakeStripe
) -> None:
    charge = pay(scenario)
    stripe.warn_of_fraud(charge["id"])
    deliver(scenario)
    deliver(scenario)
    with container.database.read_only() as session:
        [warning] = session.scalars(select(FraudWarning)).all()
        assert (warning.kind, warning.payment_id) == ("made_with_stolen_card", payment_row(container).id)
    assert alerts(container) == ["The card's issuer warns of fraud in a payment of $10"]


def test_monitoring_counts_what_waits_for_staff(
    scenario: StripeScenario, container: Container, stripe: FakeStripe, client: FlaskClient
) -> None:
    charge = pay(scenario)
    stripe.warn_of_fraud(charge["id"])
    deliver(scenario)
    staff = auth_headers(container, "read")
    assert client.get("/readyz").json["attention"] == {"early_fraud_warnings": "1 early fraud warning to act on"}
    metrics = client.get("/metrics", headers=staff).text
    assert "mainstay_early_fraud_warnings 1.0" in metrics
    assert 'mainstay_disputes{status="open"} 0.0' in metrics
    stripe.open_dispute(charge["id"])
    deliver(scenario)
    response = client.get("/readyz")
    assert response.json["attention"] == {"disputes": "1 dispute or inquiry waits for your response"}
    metrics = client.get("/metrics", headers=staff).text
    assert "mainstay_early_fraud_warnings 0.0" in metrics
    assert 'mainstay_disputes{status="open"} 1.0' in metrics


def test_dispute_leaves_recurring_support_running_by_default(
    scenario: StripeScenario, container: Container, stripe: FakeStripe
) -> None:
    charge = pay(scenario, Frequency.MONTHLY)
    stripe.open_dispute(charge["id"], reason="fraudulent")
    deliver(scenario)
    reconcile_payments(container, RUNNING)
    with container.database.read_only() as session:
        pledge_id: uuid.UUID = session.scalars(select(Payment.pledge_id)).one()
    assert scenario.snapshot(pledge_id)["pledge"]["status"] == PledgeStatus.ACTIVE


@pytest.fixture
def ends_support(container: Container) -> Container:
    """Return the container with `DISPUTE_ENDS_SUPPORT=fraudulent`."""
    assert container.settings.stripe is not None
    stripe = replace(container.settings.stripe, ends_support_on_fraud=True)
    return replace(container, settings=replace(container.settings, stripe=stripe))


@pytest.mark.parametrize("steps", [(), ("lost",), ("escalate",)])
def test_fraudulent_dispute_ends_recurring_support_if_the_setting_says_so(
    scenario: StripeScenario, ends_support: Container, stripe: FakeStripe, steps: tuple[str, ...]
) -> None:
    charge = pay(scenario, Frequency.MONTHLY)
    open_dispute = stripe.open_inquiry if "escalate" in steps else stripe.open_dispute
    dispute = open_dispute(charge["id"], reason="fraudulent")
    for step in steps:
        ends_support.clock.advance(seconds=1)
        if step == "escalate":
            stripe.escalate_inquiry(dispute["id"])
        else:
            stripe.close_dispute(dispute["id"], step)
    deliver(scenario)
    counts = reconcile_payments(ends_support, RUNNING)
    assert counts is not None
    assert counts["cancellations"] == 1
    [subscription] = stripe.account.all("subscription")
    assert subscription["status"] == "canceled"
    with ends_support.database.read_only() as session:
        pledge = session.scalars(select(Pledge)).one()
        assert pledge.status == PledgeStatus.CANCELLED
    assert "cancellations" not in (reconcile_payments(ends_support, RUNNING) or {})


def test_fraudulent_dispute_ends_recurring_support_as_soon_as_its_event_is_applied(
    scenario: StripeScenario, ends_support: Container, stripe: FakeStripe
) -> None:
    charge = pay(scenario, Frequency.MONTHLY)
    process_gateway_events(ends_support, RUNNING)
    start = len(stripe.events)
    stripe.open_dispute(charge["id"], reason="fraudulent")
    scenario.deliver_webhooks(*stripe.events[start:])
    # Which payment the charge belongs to is asked for only after two waits.
    for _ in range(3):
        process_gateway_events(ends_support, RUNNING)
        ends_support.clock.advance(minutes=5)
    [subscription] = stripe.account.all("subscription")
    assert subscription["status"] == "canceled"
    assert process_gateway_events(ends_support, RUNNING) == {}


@pytest.mark.parametrize(("reason", "outcome"), [("general", "lost"), ("fraudulent", "won"), ("fraudulent", None)])
def test_other_disputes_leave_recurring_support_running(
    scenario: StripeScenario, ends_support: Container, stripe: FakeStripe, reason: str, outcome: str | None
) -> None:
    charge = pay(scenario, Frequency.MONTHLY)
    if outcome is None:
        stripe.open_inquiry(charge["id"], reason=reason)
    else:
        dispute = stripe.open_dispute(charge["id"], reason=reason)
        ends_support.clock.advance(seconds=1)
        stripe.close_dispute(dispute["id"], outcome)
    deliver(scenario)
    reconcile_payments(ends_support, RUNNING)
    [subscription] = stripe.account.all("subscription")
    assert subscription["status"] == "active"


def test_support_ends_after_an_outage_of_stripe(
    scenario: StripeScenario, ends_support: Container, stripe: FakeStripe
) -> None:
    stripe.open_dispute(pay(scenario, Frequency.MONTHLY)["id"], reason="fraudulent")
    deliver(scenario)
    reconcile_payments(scenario.container, RUNNING)
    stripe.faults.respond(503, "DELETE /v1/subscriptions/{id}")
    assert reconcile_payments(ends_support, RUNNING) == {"put_off": 1}
    ends_support.clock.advance(minutes=10)
    assert reconcile_payments(ends_support, RUNNING) == {"cancellations": 1}
    [subscription] = stripe.account.all("subscription")
    assert subscription["status"] == "canceled"
