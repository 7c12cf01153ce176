"""Convergence of the inbox: webhooks in any order and repetition, with what staff and erasures do between them."""

import copy
import dataclasses
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, EventStatus, Frequency, PledgeStatus
from service.db.models.email import OutgoingEmail
from service.db.models.payment import GatewayEvent
from service.db.models.pledge import Pledge
from service.db.models.supporter import Supporter
from service.db.session import Database
from service.domain.errors import InvalidTransition
from service.domain.privacy.erasure import erase
from tests.events.stripe_fixture import StripeScenario
from tests.events.test_attachment import attach, renamed, stored
from tests.events.test_convergence import EXAMPLES, HYPOTHESIS_OPTIONS
from tests.events.test_erasure import EMAIL, assert_nothing_personal_is_stored
from tests.events.test_event_owners import without_metadata
from tests.stripe_double.account import StripeJson

FINISHED = {EventStatus.APPLIED, EventStatus.IGNORED}


class UndoneDatabase(Database):
    """A database whose sessions share the connection of a transaction that is rolled back at the end."""

    @contextmanager
    def autocommit(self) -> Iterator[Session]:
        with self.transaction() as session:
            yield session

    @contextmanager
    def read_only(self) -> Iterator[Session]:
        # The connection is in a transaction already, which may write.
        with self.transaction() as session:
            yield session


@contextmanager
def undone(scenario: StripeScenario) -> Iterator[StripeScenario]:
    """Yield the scenario as it is now; what happens to the database and the clock is undone at the end."""
    container = scenario.container
    started_at = container.clock.now
    with container.database.engine.connect() as connection, connection.begin() as transaction:
        # Within a savepoint, each session commits and rolls back a savepoint of its own.
        savepoint = connection.begin_nested()
        try:
            database = UndoneDatabase(connection)
            yield StripeScenario(dataclasses.replace(container, database=database), scenario.stripe)
        finally:
            container.clock.now = started_at
            savepoint.rollback()
            transaction.rollback()


def deliver(scenario: StripeScenario, events: list[StripeJson], draw: st.DataObject) -> None:
    """Deliver events in any order, some of them twice; the job runs at any point between them."""
    again = draw.draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    for event in draw.draw(st.permutations([*events, *again])):
        scenario.deliver_webhooks(event)
        if draw.draw(st.booleans()):
            scenario.run_event_job()


def run_until_idle(scenario: StripeScenario) -> None:
    """Retry the waiting events until the last retry."""
    for _ in range(2):
        scenario.run_until_idle()


def statuses(scenario: StripeScenario) -> set[EventStatus]:
    with scenario.container.database.read_only() as session:
        return set(session.scalars(select(GatewayEvent.status).distinct()))


def pledge_of(scenario: StripeScenario, pledge: uuid.UUID) -> Pledge:
    with scenario.container.database.read_only() as session:
        return session.get_one(Pledge, pledge)


def addresses(scenario: StripeScenario) -> list[str]:
    with scenario.container.database.read_only() as session:
        return list(session.scalars(select(Supporter.email)))


def of_new_subscription(event: StripeJson) -> StripeJson:
    """Return the event as that of a subscription that staff made for the same customer, without our metadata."""
    obj = event["data"]["object"]
    subscription = obj["id"] if obj["object"] == "subscription" else None
    if subscription is None:
        subscription = obj["parent"]["subscription_details"]["subscription"]
    return renamed(without_metadata(event), subscription, obj["id"])


def test_attached_subscription_converges_in_any_order(scenario: StripeScenario) -> None:
    stripe = scenario.stripe
    checkout = scenario.create_checkout()
    start = len(stripe.events)
    stripe.pay(scenario.session_of(checkout), email=EMAIL)
    subscription = stripe.get(scenario.session_of(checkout))["subscription"]
    stripe.advance(days=1)
    before_renewal = len(stripe.events)
    stripe.renew(subscription)
    kinds = ("invoice.paid", "customer.subscription.updated")
    renewal = [copy.deepcopy(event) for event in stripe.events[before_renewal:] if event["type"] in kinds]
    created = [of_new_subscription(event) for event in renewal]
    stripe.advance(days=1)
    stripe.cancel_now(subscription)
    originals = stripe.events[start:]
    expected: list[object] = []

    def check(data: st.DataObject) -> None:
        with undone(scenario) as replayed:
            is_late = data.draw(st.lists(st.booleans(), min_size=len(originals), max_size=len(originals)))
            late = [event for event, later in zip(originals, is_late, strict=True) if later]
            late_created = data.draw(st.lists(st.sampled_from(created), max_size=1))
            deliver(
                replayed, [event for event in [*originals, *created] if event not in late + late_created], data
            )
            run_until_idle(replayed)
            chosen = data.draw(st.sampled_from([event for event in created if event not in late_created]))
            # Staff attach what is parked, once the pledge's own subscription is known to have ended.
            is_known = pledge_of(replayed, checkout.id).subscription_reference is not None
            if is_known and stored(replayed.container, chosen).status == EventStatus.PARKED:
                try:
                    attach(replayed, chosen, checkout.id)
                except InvalidTransition:
                    assert pledge_of(replayed, checkout.id).status != PledgeStatus.CANCELLED
            deliver(replayed, late + late_created, data)
            run_until_idle(replayed)
            attach(replayed, chosen, checkout.id)
            run_until_idle(replayed)
            assert statuses(replayed) <= FINISHED
            found = replayed.snapshot(checkout.id), addresses(replayed)
        if not expected:
            expected.append(found)
        assert found == expected[0]

    hypothesis_settings(max_examples=2 * EXAMPLES, **HYPOTHESIS_OPTIONS)(given(st.data())(check))()
    [(state, emails)] = expected
    assert state["pledge"]["status"] == PledgeStatus.ACTIVE
    assert state["pledge"]["subscription_reference"] == f"{subscription}Again"
    assert [payment[2] for payment in state["payments"]] == [500, 500, 500]
    assert emails == [EMAIL]


def test_attached_second_payment_converges_in_any_order(scenario: StripeScenario) -> None:
    stripe = scenario.stripe
    checkout = scenario.create_checkout(Frequency.ONCE, amount=1000)
    start = len(stripe.events)
    charge = stripe.pay(scenario.session_of(checkout), email=EMAIL)
    stripe.refund(charge["id"], 300)
    originals = stripe.events[start:]
    paid = next(event for event in originals if event["type"] == "checkout.session.completed")
    second = renamed(paid, paid["data"]["object"]["payment_intent"], paid["data"]["object"]["id"])

    @hypothesis_settings(max_examples=2 * EXAMPLES, **HYPOTHESIS_OPTIONS)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        with undone(scenario) as replayed:
            deliver(replayed, [*originals, second], data)
            run_until_idle(replayed)
            # Whichever payment came second is parked, and staff attach it.
            with replayed.container.database.read_only() as session:
                is_parked = GatewayEvent.status == EventStatus.PARKED
                parked = {event.reference for event in session.scalars(select(GatewayEvent).where(is_parked))}
            for event in [*originals, second]:
                if event["id"] in parked and event["type"] == "checkout.session.completed":
                    attach(replayed, event, checkout.id)
            run_until_idle(replayed)
            assert statuses(replayed) <= FINISHED
            state = replayed.snapshot(checkout.id)
            assert state["pledge"]["status"] == PledgeStatus.COMPLETED
            assert sorted(payment[1:3] for payment in state["payments"]) == [
                ("partially_refunded", 1000),
                ("succeeded", 1000),
            ]
            assert [refund[1:] for refund in state["refunds"]] == [("succeeded", 300)]
            assert [(total.payments, total.net) for total in state["totals"]] == [(2, 1700)]
            assert addresses(replayed) == [EMAIL]

    check()


@pytest.mark.parametrize("ends", [False, True])
def test_events_whose_metadata_vanished_converge_in_any_order(scenario: StripeScenario, ends: bool) -> None:
    stripe = scenario.stripe
    checkout = scenario.create_checkout()
    start = len(stripe.events)
    session_id = scenario.session_of(checkout)
    charge = stripe.pay(session_id, email=EMAIL)
    subscription = stripe.get(session_id)["subscription"]
    stripe.renew(subscription)
    stripe.advance(days=1)
    stripe.refund(charge["id"], 200)
    stripe.fail_renewal(subscription)
    if ends:
        stripe.advance(days=1)
        stripe.cancel_now(subscription)
    events = stripe.events[start:]
    expected: list[object] = []

    def check(data: st.DataObject) -> None:
        with undone(scenario) as replayed:
            # The checkout says which subscription is which pledge's; any other event may have lost that.
            changed = [
                without_metadata(event)
                if event["type"] != "checkout.session.completed" and data.draw(st.booleans())
                else event
                for event in events
            ]
            calls = stripe.faults.calls.copy()
            deliver(replayed, changed, data)
            run_until_idle(replayed)
            assert statuses(replayed) <= FINISHED
            found = replayed.snapshot(checkout.id), addresses(replayed)
            # No event of a pledge that we know needs Stripe to say whose it is.
            asked = stripe.faults.calls - calls
            assert not [call for call in asked if "/v1/subscriptions" in call]
        if not expected:
            expected.append(found)
        assert found == expected[0]

    hypothesis_settings(max_examples=2 * EXAMPLES, **HYPOTHESIS_OPTIONS)(given(st.data())(check))()
    [(state, emails)] = expected
    assert state["pledge"]["status"] == (PledgeStatus.CANCELLED if ends else PledgeStatus.PAST_DUE)
    assert sorted(payment[2] for payment in state["payments"]) == [500, 500, 500]
    assert emails == [EMAIL]


ERASED = {
    "bank debit": Frequency.ONCE,
    "recurring bank debit": Frequency.MONTHLY,
    "failed renewal": Frequency.MONTHLY,
}


@pytest.mark.parametrize("kind", ERASED)
def test_erased_pledge_never_gets_an_address_again_in_any_order(scenario: StripeScenario, kind: str) -> None:
    stripe, frequency = scenario.stripe, ERASED[kind]
    checkout = scenario.create_checkout(frequency)
    start, session_id = len(stripe.events), scenario.session_of(checkout)
    (stripe.pay if kind == "failed renewal" else stripe.pay_by_bank_debit)(session_id, email=EMAIL)
    from_before = stripe.events[start:]
    scenario.container.clock.advance(minutes=1)
    erased_at = scenario.container.clock.now
    if kind == "failed renewal":
        stripe.advance(days=1)
        stripe.fail_renewal(stripe.get(session_id)["subscription"])
    else:
        stripe.settle_bank_debit(session_id)
    from_after = stripe.events[start + len(from_before) :]
    payments: set[object] = set()

    @hypothesis_settings(max_examples=2 * EXAMPLES, **HYPOTHESIS_OPTIONS)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        with undone(scenario) as replayed:
            container = replayed.container
            container.clock.now = erased_at
            size = len(from_before)
            in_time = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
            on_time = [event for event, is_on_time in zip(from_before, in_time, strict=True) if is_on_time]
            deliver(replayed, on_time, data)
            erase(
                container.database.transaction,
                container.gateway,
                EMAIL.upper(),
                requested_by="a test",
                clock=container.clock,
            )
            container.clock.advance(days=5)
            deliver(replayed, [event for event in from_before if event not in on_time] + from_after, data)
            run_until_idle(replayed)
            assert statuses(replayed) <= FINISHED
            pledge = pledge_of(replayed, checkout.id)
            assert pledge.supporter_id is None
            assert pledge.erased_at is not None
            # The page of an invoice shows the name and the address of its payer.
            assert pledge.open_invoice_url is None
            assert addresses(replayed) == []
            assert_nothing_personal_is_stored(container)
            with container.database.read_only() as session:
                kinds = set(session.scalars(select(OutgoingEmail.kind)))
            assert kinds <= {EmailKind.ALERT}
            # Nobody could be told of the next payment, so there is none.
            if frequency != Frequency.ONCE:
                assert pledge.status == PledgeStatus.CANCELLED or pledge.cancel_requested_at is not None
            state = replayed.snapshot(checkout.id)
            payments.add((*state["payments"], *state["totals"]))

    check()
    assert len(payments) == 1
