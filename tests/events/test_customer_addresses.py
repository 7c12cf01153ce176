"""A changed address and Stripe's customers: ours goes to them, and theirs comes to us."""

import itertools
import uuid
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import select

from schemas.enums import EventStatus, Frequency
from service.container import Container
from service.db.models.customer import CustomerUpdate
from service.db.models.payment import GatewayEvent
from service.db.models.pledge import Pledge
from service.db.models.supporter import Supporter
from service.domain.payments.reconciliation import reconcile
from service.domain.payments.recovery import complete_pending_operations
from service.domain.privacy.address_changes import change_address
from service.domain.supporters import erase_supporter
from tests.events.stripe_fixture import StripeScenario
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson

OLD, NEW, NEWER = "ada@news.example", "ada@home.example", "ada@work.example"


def pay(scenario: StripeScenario, *, email: str = OLD, frequency: Frequency = Frequency.MONTHLY) -> uuid.UUID:
    """Create a pledge, pay it and apply the events; return its id."""
    checkout = scenario.create_checkout(frequency)
    count = len(scenario.stripe.events)
    scenario.stripe.pay(scenario.session_of(checkout), email=email)
    scenario.deliver_webhooks(*scenario.stripe.events[count:])
    scenario.run_until_idle()
    return checkout.id


def pledge_of(scenario: StripeScenario, pledge_id: uuid.UUID) -> Pledge:
    with scenario.container.database.read_only() as session:
        return session.get_one(Pledge, pledge_id)


def address_of(scenario: StripeScenario, pledge_id: uuid.UUID) -> str:
    with scenario.container.database.read_only() as session:
        supporter_id = session.get_one(Pledge, pledge_id).supporter_id
        return session.scalars(select(Supporter.email).where(Supporter.id == supporter_id)).one()


def customer_of(scenario: StripeScenario, pledge_id: uuid.UUID) -> str:
    return pledge_of(scenario, pledge_id).customer_reference


def change(scenario: StripeScenario, pledge_id: uuid.UUID, address: str = NEW) -> Counter[str]:
    container = scenario.container
    supporter_id = pledge_of(scenario, pledge_id).supporter_id
    return change_address(
        container.database.transaction,
        container.gateway,
        supporter_id,
        address,
        merge=False,
        clock=container.clock,
    ).customers


def recover(container: Container) -> Counter[str]:
    return complete_pending_operations(
        container.database.transaction, container.gateway, urls=container.urls, clock=container.clock
    )


def test_changed_address_reaches_every_customer_of_the_supporter(
    scenario: StripeScenario, stripe: FakeStripe
) -> None:
    pledges = [pay(scenario), pay(scenario), pay(scenario, frequency=Frequency.ONCE)]
    other = pay(scenario, email="bob@news.example")
    assert change(scenario, pledges[0]) == {"updated": len({customer_of(scenario, p) for p in pledges} - {None})}
    assert {stripe.get(customer_of(scenario, pledge))["email"] for pledge in pledges[:2]} == {NEW}
    assert stripe.get(customer_of(scenario, other))["email"] == "bob@news.example"
    assert recover(scenario.container) == {}


def test_address_changed_during_an_outage_is_sent_later(scenario: StripeScenario, stripe: FakeStripe) -> None:
    pledge = pay(scenario)
    stripe.close()
    assert change(scenario, pledge) == {"pending": 1}
    assert change(scenario, pledge, NEWER) == {"pending": 1}
    assert recover(scenario.container)["put_off"] == 1
    stripe.open()
    scenario.container.clock.advance(minutes=5)
    assert recover(scenario.container) == {"customers": 1}
    assert recover(scenario.container) == {}
    assert stripe.get(customer_of(scenario, pledge))["email"] == NEWER == address_of(scenario, pledge)


def test_refused_update_is_not_repeated(scenario: StripeScenario, stripe: FakeStripe) -> None:
    pledge = pay(scenario)
    with stripe.account.lock:
        stripe.account.delete(stripe.get(customer_of(scenario, pledge)))
    assert change(scenario, pledge) == {"refused": 1}
    assert recover(scenario.container) == {}
    assert address_of(scenario, pledge) == NEW


def test_change_during_the_call_is_sent_after_it(
    scenario: StripeScenario, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pledge, calls = pay(scenario), []
    gateway = scenario.container.gateway
    original = gateway.update_customer_email

    def change_again(customer: str, email: str, *, update_id: uuid.UUID) -> None:
        calls.append(email)
        if len(calls) == 1:
            change(scenario, pledge, NEWER)
        original(customer, email, update_id=update_id)

    monkeypatch.setattr(gateway, "update_customer_email", change_again)
    change(scenario, pledge)
    # The older address reached Stripe last.
    assert (calls, stripe.get(customer_of(scenario, pledge))["email"]) == ([NEW, NEWER], NEW)
    assert recover(scenario.container) == {"customers": 1}
    assert stripe.get(customer_of(scenario, pledge))["email"] == NEWER == address_of(scenario, pledge)
    assert recover(scenario.container) == {}
    with scenario.container.database.read_only() as session:
        assert session.scalars(select(CustomerUpdate)).one().completed_at is not None


def new_events(scenario: StripeScenario, act: Callable[[], object]) -> list[StripeJson]:
    """Return the events that an action causes at Stripe."""
    count = len(scenario.stripe.events)
    act()
    return scenario.stripe.events[count:]


def edited(scenario: StripeScenario, pledge_id: uuid.UUID, email: str | None) -> StripeJson:
    """Change the address of a pledge's customer in Stripe's portal; return the event."""
    customer = customer_of(scenario, pledge_id)
    [event] = new_events(scenario, lambda: scenario.stripe.change_email(customer, email))
    return event


def apply(scenario: StripeScenario, *events: StripeJson) -> None:
    scenario.deliver_webhooks(*events)
    scenario.run_until_idle()


def statuses(scenario: StripeScenario) -> dict[str, EventStatus]:
    with scenario.container.database.read_only() as session:
        return {event.reference: event.status for event in session.scalars(select(GatewayEvent))}


def test_address_changed_at_stripe_is_followed_and_reaches_the_other_customers(
    scenario: StripeScenario, stripe: FakeStripe
) -> None:
    first, second = pay(scenario), pay(scenario)
    assert customer_of(scenario, first) != customer_of(scenario, second)
    apply(scenario, edited(scenario, first, NEW))
    assert address_of(scenario, first) == NEW
    count = len(stripe.events)
    assert recover(scenario.container) == {"customers": 1}
    assert stripe.get(customer_of(scenario, second))["email"] == NEW
    # Our own change comes back as an event, and causes nothing more.
    [echo] = stripe.events[count:]
    assert echo["type"] == "customer.updated"
    apply(scenario, echo)
    assert statuses(scenario)[echo["id"]] == EventStatus.IGNORED
    assert recover(scenario.container) == {}
    assert len(stripe.events) == count + 1


@pytest.mark.parametrize("names_request", [True, False])
def test_own_change_that_comes_back_causes_no_loop(scenario: StripeScenario, *, names_request: bool) -> None:
    pledge = pay(scenario)
    [echo] = new_events(scenario, lambda: change(scenario, pledge))
    if not names_request:
        echo = echo | {"request": None}
    apply(scenario, echo)
    assert address_of(scenario, pledge) == NEW
    assert recover(scenario.container) == {}


def test_reconciliation_finds_a_changed_address_without_a_webhook(scenario: StripeScenario) -> None:
    pledge = pay(scenario)
    edited(scenario, pledge, NEW)
    container = scenario.container
    reconcile(
        container.database.transaction,
        container.gateway,
        container.event_source,
        urls=container.urls,
        clock=container.clock,
    )
    assert address_of(scenario, pledge) == NEW


@pytest.mark.parametrize("seconds", [0, 1, 3600])
@pytest.mark.parametrize("order", [*itertools.permutations(range(2)), (1, 0, 1, 0), (0, 1, 0, 1)])
def test_newest_change_at_stripe_wins_in_any_order(
    scenario: StripeScenario, seconds: int, order: tuple[int, ...]
) -> None:
    pledge = pay(scenario)
    events = [edited(scenario, pledge, NEW)]
    scenario.container.clock.advance(seconds=seconds)
    events.append(edited(scenario, pledge, NEWER))
    for index in order:
        apply(scenario, events[index])
    assert address_of(scenario, pledge) == NEWER


@pytest.mark.parametrize("our_change_is_newer", [True, False])
def test_newer_of_our_change_and_of_stripes_wins(
    scenario: StripeScenario, stripe: FakeStripe, *, our_change_is_newer: bool
) -> None:
    pledge = pay(scenario)
    if our_change_is_newer:
        event = edited(scenario, pledge, NEW)
        scenario.container.clock.advance(seconds=5)
        change(scenario, pledge, NEWER)
    else:
        change(scenario, pledge, NEW)
        scenario.container.clock.advance(seconds=5)
        event = edited(scenario, pledge, NEWER)
    apply(scenario, event)
    recover(scenario.container)
    assert address_of(scenario, pledge) == NEWER == stripe.get(customer_of(scenario, pledge))["email"]


def test_change_at_stripe_that_our_later_call_overwrote_is_not_followed(
    scenario: StripeScenario, stripe: FakeStripe
) -> None:
    pledge, clock = pay(scenario), scenario.container.clock
    stripe.close()
    change(scenario, pledge, NEW)
    stripe.open()
    clock.advance(seconds=5)
    event = edited(scenario, pledge, NEWER)
    clock.advance(seconds=5)
    recover(scenario.container)
    apply(scenario, event)
    assert address_of(scenario, pledge) == NEW == stripe.get(customer_of(scenario, pledge))["email"]


@pytest.mark.parametrize("spelling", ["bob@news.example", "BOB@news.example"])
def test_address_of_another_supporter_is_parked_and_merges_nobody(scenario: StripeScenario, spelling: str) -> None:
    pledge, other = pay(scenario), pay(scenario, email="bob@news.example")
    event = edited(scenario, pledge, spelling)
    apply(scenario, event)
    assert (address_of(scenario, pledge), address_of(scenario, other)) == (OLD, "bob@news.example")
    with scenario.container.database.read_only() as session:
        stored = session.scalars(select(GatewayEvent).where(GatewayEvent.reference == event["id"])).one()
    assert stored.status == EventStatus.PARKED
    assert "belongs to another supporter" in stored.reason
    assert "@" not in stored.reason


@pytest.mark.parametrize("email", [None, "", "no address", "a@b@c"])
def test_removed_or_invalid_address_at_stripe_changes_nothing(scenario: StripeScenario, email: str | None) -> None:
    pledge = pay(scenario)
    event = edited(scenario, pledge, email)
    apply(scenario, event)
    assert address_of(scenario, pledge) == OLD
    assert statuses(scenario)[event["id"]] in (EventStatus.APPLIED, EventStatus.IGNORED)


def test_event_about_something_else_of_the_customer_changes_nothing(
    scenario: StripeScenario, stripe: FakeStripe
) -> None:
    pledge = pay(scenario)
    change(scenario, pledge)
    events = new_events(scenario, lambda: stripe.update_card(customer_of(scenario, pledge)))
    apply(scenario, *(event for event in events if event["type"] == "customer.updated"))
    assert address_of(scenario, pledge) == NEW


def test_change_that_arrives_before_its_checkout_waits_for_it(scenario: StripeScenario) -> None:
    checkout = scenario.create_checkout()
    session = scenario.session_of(checkout)
    paid = new_events(scenario, lambda: scenario.stripe.pay(session, email=OLD))
    customer = scenario.stripe.get(session)["customer"]
    [event] = new_events(scenario, lambda: scenario.stripe.change_email(customer, NEW))
    scenario.deliver_webhooks(event)
    scenario.run_event_job()
    assert statuses(scenario)[event["id"]] == EventStatus.WAITING
    apply(scenario, *paid)
    assert address_of(scenario, checkout.id) == NEW


def test_customer_of_a_shop_on_the_account_is_forgotten_without_a_look_up(
    scenario: StripeScenario, stripe: FakeStripe
) -> None:
    stripe.client().v1.customers.create({"email": "shopper@shop.example"})
    [customer] = stripe.account.all("customer")
    [event] = new_events(scenario, lambda: stripe.change_email(customer["id"], "buyer@shop.example"))
    calls = stripe.faults.calls.copy()
    apply(scenario, event)
    assert statuses(scenario) == {event["id"]: EventStatus.IGNORED}
    assert stripe.faults.calls == calls
    with scenario.container.database.read_only() as session:
        assert session.scalars(select(GatewayEvent)).one().payload is None
        assert session.scalars(select(Supporter)).all() == []


def test_change_of_an_erased_supporter_stores_nothing(scenario: StripeScenario) -> None:
    pledge = pay(scenario)
    event = edited(scenario, pledge, NEW)
    with scenario.container.database.transaction() as session:
        erase_supporter(session, OLD, now=scenario.container.clock())
    apply(scenario, event)
    with scenario.container.database.read_only() as session:
        assert session.scalars(select(Supporter)).all() == []
