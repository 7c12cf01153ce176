"""A customer's credit at Stripe lowers what an invoice takes, and what is owed there raises it."""

import uuid

import pytest
from sqlalchemy import func, select

from schemas.enums import EventStatus, Frequency, PledgeStatus
from service.db.models.email import OutgoingEmail
from service.db.models.payment import GatewayEvent
from service.db.models.pledge import Pledge
from service.domain.payments.reconciliation import reconcile
from tests.events.stripe_fixture import StripeScenario
from tests.events.test_customers import pay
from tests.stripe_double.account import StripeJson

KINDS = ("checkout.session.completed", "invoice.paid", "customer.subscription.updated")


def subscribe_again(scenario: StripeScenario, credit: int) -> tuple[uuid.UUID, list[StripeJson]]:
    """Return a supporter's second monthly pledge of 500, paid with credit, and its events."""
    first = pay(scenario, scenario.create_checkout(Frequency.ONCE))
    scenario.stripe.give_credit(str(first.customer_reference), credit)
    checkout = scenario.create_checkout(supporter_id=first.supporter_id)
    start = len(scenario.stripe.events)
    scenario.stripe.pay(scenario.session_of(checkout))
    events = [event for event in scenario.stripe.events[start:] if event["type"] in KINDS]
    assert {event["type"] for event in events} == {"invoice.paid", "checkout.session.completed"}
    return checkout.id, events


def payments_of(scenario: StripeScenario, pledge: uuid.UUID) -> list[tuple[str, int]]:
    """Return the reference and the amount of each payment of the second pledge."""
    payments = scenario.snapshot(pledge)["payments"]
    return [(reference, amount) for reference, _, amount, _ in payments if reference.startswith("in_")]


def statuses(scenario: StripeScenario) -> set[EventStatus]:
    with scenario.container.database.read_only() as session:
        return set(session.scalars(select(GatewayEvent.status)))


def receipts(scenario: StripeScenario, pledge: uuid.UUID) -> int:
    query = select(func.count()).where(OutgoingEmail.pledge_id == pledge, OutgoingEmail.kind == "receipt")
    with scenario.container.database.read_only() as session:
        return session.scalar(query) or 0


@pytest.mark.parametrize("credit", [200, -300])
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0, 1)])
def test_invoice_says_what_was_paid_after_the_balance_of_the_customer(
    scenario: StripeScenario, credit: int, order: tuple[int, ...]
) -> None:
    pledge, events = subscribe_again(scenario, credit)
    for number in order:
        scenario.deliver_webhooks(events[number])
        scenario.run_event_job()
    scenario.run_until_idle()
    assert not statuses(scenario) & {EventStatus.PARKED, EventStatus.WAITING}
    [(_, amount)] = payments_of(scenario, pledge)
    assert amount == 500 - credit
    assert scenario.snapshot(pledge)["pledge"]["status"] == PledgeStatus.ACTIVE
    assert receipts(scenario, pledge) == 1


@pytest.mark.parametrize("credit", [500, 2000])
@pytest.mark.parametrize("payment_status", ["paid", "no_payment_required"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0, 1)])
def test_subscription_that_credit_pays_for_is_active_without_a_payment(
    scenario: StripeScenario, credit: int, payment_status: str, order: tuple[int, ...]
) -> None:
    pledge, events = subscribe_again(scenario, credit)
    for event in events:
        if event["type"] == "checkout.session.completed":
            event["data"]["object"]["payment_status"] = payment_status
    for number in order:
        scenario.deliver_webhooks(events[number])
        scenario.run_event_job()
    scenario.run_until_idle()
    assert not statuses(scenario) & {EventStatus.PARKED, EventStatus.WAITING}
    assert payments_of(scenario, pledge) == []
    assert scenario.snapshot(pledge)["pledge"]["status"] == PledgeStatus.ACTIVE
    assert receipts(scenario, pledge) == 0


@pytest.mark.parametrize(("credit", "expected"), [(200, [300]), (700, [])])
def test_reconciliation_corrects_the_total_of_a_checkout_whose_invoice_was_missed(
    scenario: StripeScenario, credit: int, expected: list[int]
) -> None:
    pledge, events = subscribe_again(scenario, credit)
    scenario.deliver_webhooks(next(event for event in events if event["type"] == "checkout.session.completed"))
    scenario.run_until_idle()
    container = scenario.container
    reconcile(
        container.database.transaction,
        container.gateway,
        container.event_source,
        urls=container.urls,
        clock=container.clock,
    )
    scenario.run_until_idle()
    assert [amount for _, amount in payments_of(scenario, pledge)] == expected
    assert EventStatus.PARKED not in statuses(scenario)


@pytest.mark.parametrize("credit", [200, 800])
def test_renewal_that_credit_pays_for_in_part_or_in_full(scenario: StripeScenario, credit: int) -> None:
    first = pay(scenario, scenario.create_checkout())
    scenario.stripe.give_credit(str(first.customer_reference), credit)
    start = len(scenario.stripe.events)
    scenario.stripe.renew(str(first.subscription_reference))
    scenario.deliver_webhooks(*scenario.stripe.events[start:])
    scenario.run_until_idle()
    assert EventStatus.PARKED not in statuses(scenario)
    amounts = sorted(amount for _, amount in payments_of(scenario, first.id))
    assert amounts == sorted([500] + ([500 - credit] if credit < 500 else []))
    with scenario.container.database.read_only() as session:
        pledge = session.get_one(Pledge, first.id)
    assert (pledge.status, pledge.open_invoice_reference) == (PledgeStatus.ACTIVE, None)
    assert pledge.renews_at is not None
    assert first.renews_at is not None
    assert pledge.renews_at > first.renews_at
