"""A changed address and Stripe's customers: ours goes to them, and theirs comes to us."""

import uuid
from collections import Counter

import pytest
from sqlalchemy import select

from schemas.enums import Frequency
from service.container import Container
from service.db.models.customer import CustomerUpdate
from service.db.models.pledge import Pledge
from service.db.models.supporter import Supporter
from service.domain.payments.recovery import complete_pending_operations
from service.domain.privacy.address_changes import change_address
from tests.events.stripe_fixture import StripeScenario
from tests.stripe_double import FakeStripe

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
