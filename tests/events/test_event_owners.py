"""Whose an event is: a pledge's of this deployment, another deployment's, or another product's on the account."""

import copy
import json
import random
import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from schemas.enums import EventStatus, Frequency, PledgeStatus
from service.db.models.payment import GatewayEvent
from service.db.models.pledge import Installation, Pledge
from service.domain.payments.reconciliation import reconcile
from service.domain.pledges.installation import get_or_create_installation_id, replace_installation_id
from tests.events.stripe_fixture import StripeScenario
from tests.stripe_double.account import StripeJson
from tests.stripe_double.scenarios import payment_session_params, subscription_session_params

OTHER_INSTALLATION = str(uuid.uuid4())
KEYS = ("mainstay_pledge_id", "mainstay_installation_id", "pledge_id")


def rename_keys(value: Any, **changes: str | None) -> Any:
    """Return a copy of an event with our keys in its metadata replaced; None removes a key."""
    if isinstance(value, list):
        return [rename_keys(item, **changes) for item in value]
    if not isinstance(value, dict):
        return value
    copied = {name: rename_keys(item, **changes) for name, item in value.items()}
    if any(key in copied for key in KEYS):
        copied |= {key: new for key, new in changes.items() if new is not None}
        for key in [key for key, new in changes.items() if new is None]:
            copied.pop(key, None)
    return copied


def without_metadata(event: StripeJson) -> StripeJson:
    return rename_keys(event, **dict.fromkeys(KEYS))


def statuses(scenario: StripeScenario) -> dict[str, set[EventStatus]]:
    """Return the statuses of the stored events by kind."""
    found: dict[str, set[EventStatus]] = {}
    with scenario.container.database.read_only() as session:
        for event in session.scalars(select(GatewayEvent)):
            found.setdefault(event.kind, set()).add(event.status)
            assert (event.payload is None) == (event.status == EventStatus.IGNORED), event.kind
    return found


def subscription_with_renewal(scenario: StripeScenario) -> tuple[uuid.UUID, list[StripeJson]]:
    """Return a monthly pledge with a renewal, and its events without the ids in the renewal's metadata."""
    checkout = scenario.create_checkout()
    start = len(scenario.stripe.events)
    session = scenario.session_of(checkout)
    scenario.stripe.pay(session)
    first = len(scenario.stripe.events)
    scenario.stripe.renew(scenario.stripe.get(session)["subscription"])
    events = [event for event in scenario.stripe.events if event["type"] in scenario_kinds()]
    later = {event["id"] for event in scenario.stripe.events[first:]}
    assert start < first < len(scenario.stripe.events)
    return checkout.id, [without_metadata(event) if event["id"] in later else event for event in events]


def scenario_kinds() -> set[str]:
    return {
        "checkout.session.completed",
        "invoice.paid",
        "invoice.payment_failed",
        "customer.subscription.updated",
        "charge.refunded",
        "charge.dispute.created",
    }


@pytest.mark.parametrize("order", ["sent", "reversed", "repeated", "shuffled"])
def test_known_subscription_counts_after_its_metadata_vanished(scenario: StripeScenario, order: str) -> None:
    pledge, events = subscription_with_renewal(scenario)
    stream = {
        "sent": events,
        "reversed": events[::-1],
        "repeated": events + events,
        "shuffled": random.Random(1).sample(events, len(events)),
    }[order]
    calls = scenario.stripe.faults.calls.total()
    for event in stream:
        scenario.deliver_webhooks(event)
        scenario.run_event_job()
    scenario.run_until_idle()
    assert set().union(*statuses(scenario).values()) == {EventStatus.APPLIED}
    assert len(scenario.snapshot(pledge)["payments"]) == 2
    assert scenario.stripe.faults.calls.total() == calls


def test_subscription_whose_metadata_vanished_is_found_by_reconciliation_order(scenario: StripeScenario) -> None:
    pledge, events = subscription_with_renewal(scenario)
    scenario.deliver_webhooks(*events[::-1])
    scenario.run_until_idle()
    assert len(scenario.snapshot(pledge)["payments"]) == 2


def test_reconciliation_finds_events_whose_metadata_vanished(scenario: StripeScenario) -> None:
    pledge, events = subscription_with_renewal(scenario)
    changed = {event["id"]: event for event in events}
    account, container = scenario.stripe.account, scenario.container
    account.events = [changed.get(event["id"], event) for event in account.events]
    for _ in range(2):
        reconcile(
            container.database.transaction,
            container.gateway,
            container.event_source,
            urls=container.urls,
            clock=container.clock,
        )
        scenario.run_until_idle()
    assert len(scenario.snapshot(pledge)["payments"]) == 2


def events_without_checkout(
    scenario: StripeScenario, *, renews: bool = True
) -> tuple[uuid.UUID, str, list[StripeJson]]:
    """Return a monthly pledge, its session, and its events without any of our ids and without the checkout's."""
    checkout = scenario.create_checkout()
    session = scenario.session_of(checkout)
    scenario.stripe.pay(session)
    if renews:
        scenario.stripe.renew(scenario.stripe.get(session)["subscription"])
    kinds = scenario_kinds() - {"checkout.session.completed"}
    events = [without_metadata(event) for event in scenario.stripe.events if event["type"] in kinds]
    return checkout.id, session, events


@pytest.mark.parametrize("backwards", [False, True])
def test_invoice_without_metadata_and_checkout_is_found_by_the_checkout_at_stripe(
    scenario: StripeScenario, backwards: bool
) -> None:
    pledge, _, events = events_without_checkout(scenario)
    scenario.deliver_webhooks(*(events[::-1] if backwards else events))
    scenario.run_until_idle()
    assert set().union(*statuses(scenario).values()) == {EventStatus.APPLIED}
    assert len(scenario.snapshot(pledge)["payments"]) == 2
    assert scenario.snapshot(pledge)["pledge"]["status"] == PledgeStatus.ACTIVE


def test_invoice_of_ours_is_parked_until_its_checkout_is_known(scenario: StripeScenario) -> None:
    pledge, session, events = events_without_checkout(scenario, renews=False)
    subscription = scenario.stripe.get(session)["subscription"]
    # Stripe lists the checkout under no subscription.
    scenario.stripe.get(session)["subscription"] = None
    scenario.deliver_webhooks(*events)
    for _ in range(3):
        scenario.run_until_idle()
    assert set().union(*statuses(scenario).values()) == {EventStatus.PARKED}
    completed = [event for event in scenario.stripe.events if event["type"] == "checkout.session.completed"]
    assert [event["data"]["object"]["subscription"] for event in completed] == [subscription]
    scenario.stripe.account.events = completed
    container = scenario.container
    reconcile(
        container.database.transaction,
        container.gateway,
        container.event_source,
        urls=container.urls,
        clock=container.clock,
    )
    assert set().union(*statuses(scenario).values()) == {EventStatus.APPLIED}
    assert len(scenario.snapshot(pledge)["payments"]) == 1


def test_invoice_without_metadata_waits_while_stripe_is_down(scenario: StripeScenario) -> None:
    pledge, _, events = events_without_checkout(scenario)
    scenario.deliver_webhooks(*events)
    scenario.stripe.close()
    for _ in range(3):
        scenario.run_event_job()
        scenario.container.clock.advance(minutes=3)
    assert EventStatus.IGNORED not in set().union(*statuses(scenario).values())
    scenario.stripe.open()
    scenario.container.clock.advance(minutes=10)
    scenario.run_until_idle()
    assert len(scenario.snapshot(pledge)["payments"]) == 2


def test_checkout_of_a_copy_with_the_same_campaigns_is_ignored(scenario: StripeScenario) -> None:
    _, session, events = events_without_checkout(scenario)
    scenario.stripe.get(session)["metadata"]["mainstay_installation_id"] = OTHER_INSTALLATION
    scenario.deliver_webhooks(*events)
    scenario.run_until_idle()
    assert set().union(*statuses(scenario).values()) == {EventStatus.IGNORED}


def test_product_of_another_deployment_is_ignored_without_a_lookup(scenario: StripeScenario) -> None:
    _, _, events = events_without_checkout(scenario)
    text = json.dumps(events)
    [product] = set(re.findall(r"mainstay_[0-9a-f]{32}", text))
    scenario.deliver_webhooks(*json.loads(text.replace(product, f"mainstay_{uuid.uuid4().hex}")))
    calls = scenario.stripe.faults.calls.total()
    scenario.run_until_idle()
    assert set().union(*statuses(scenario).values()) == {EventStatus.IGNORED}
    assert scenario.stripe.faults.calls.total() == calls


def test_two_processes_create_one_installation_id_at_once(scenario: StripeScenario) -> None:
    start, database = threading.Barrier(4), scenario.container.database

    def create(_: int) -> uuid.UUID:
        start.wait(timeout=20)
        with database.transaction() as session:
            return get_or_create_installation_id(session)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(create, range(4)))) == 1


@pytest.mark.parametrize("mode", ["payment", "subscription"])
def test_events_of_a_shop_are_ignored_without_a_lookup(scenario: StripeScenario, mode: str) -> None:
    params = payment_session_params() if mode == "payment" else subscription_session_params()
    session = scenario.stripe.client().v1.checkout.sessions.create(params=params)
    scenario.stripe.pay(session.id)
    if mode == "subscription":
        scenario.stripe.renew(scenario.stripe.get(session.id)["subscription"])
    scenario.deliver_webhooks(*[event for event in scenario.stripe.events if event["type"] in scenario_kinds()])
    calls = scenario.stripe.faults.calls.total()
    scenario.run_until_idle()
    assert set().union(*statuses(scenario).values()) == {EventStatus.IGNORED}
    assert scenario.stripe.faults.calls.total() == calls


def test_refunds_of_a_shop_are_ignored_and_looked_up_once_for_each_payment(scenario: StripeScenario) -> None:
    session = scenario.stripe.client().v1.checkout.sessions.create(params=subscription_session_params())
    scenario.stripe.pay(session.id)
    charge = scenario.stripe.charge_of(session.id)
    for _ in range(3):
        scenario.stripe.refund(charge["id"], 10)
    events = [event for event in scenario.stripe.events if event["type"] == "charge.refunded"]
    scenario.deliver_webhooks(*events)
    calls = scenario.stripe.faults.calls.total()
    scenario.run_until_idle()
    assert statuses(scenario) == {"charge.refunded": {EventStatus.IGNORED}}
    assert scenario.stripe.faults.calls.total() - calls <= 3


@pytest.mark.parametrize(
    "changes",
    [
        {"mainstay_installation_id": OTHER_INSTALLATION},
        {"mainstay_installation_id": OTHER_INSTALLATION, "mainstay_pledge_id": str(uuid.uuid4())},
        {"mainstay_installation_id": None, "mainstay_pledge_id": None, "pledge_id": str(uuid.uuid4())},
    ],
    ids=["copied database", "other database", "older release"],
)
@pytest.mark.parametrize("frequency", [Frequency.ONCE, Frequency.MONTHLY])
def test_events_of_another_deployment_are_ignored_and_forgotten(
    scenario: StripeScenario, changes: dict[str, str | None], frequency: Frequency
) -> None:
    checkout = scenario.create_checkout(frequency)
    session = scenario.session_of(checkout)
    scenario.stripe.pay(session)
    events = [event for event in scenario.stripe.events if event["type"] in scenario_kinds()]
    with scenario.container.database.transaction() as db:
        if "copied" not in str(changes) and len(changes) > 1:
            pledge = db.get_one(Pledge, checkout.id)
            pledge.gateway_reference = "cs_of_another_pledge"
    scenario.deliver_webhooks(*[rename_keys(event, **changes) for event in events[::-1]])
    scenario.run_event_job()
    assert set().union(*statuses(scenario).values()) == {EventStatus.IGNORED}
    assert scenario.snapshot(checkout.id)["payments"] == []


def test_events_of_a_pledge_made_by_an_older_release_still_count(scenario: StripeScenario) -> None:
    checkout = scenario.create_checkout()
    scenario.stripe.pay(scenario.session_of(checkout))
    events = [event for event in scenario.stripe.events if event["type"] in scenario_kinds()]
    changes = {"mainstay_installation_id": None, "mainstay_pledge_id": None, "pledge_id": str(checkout.id)}
    scenario.deliver_webhooks(*[rename_keys(event, **changes) for event in events])
    scenario.run_until_idle()
    assert scenario.snapshot(checkout.id)["pledge"]["status"] == PledgeStatus.ACTIVE


def test_event_of_a_deleted_pledge_of_this_deployment_is_parked(scenario: StripeScenario) -> None:
    checkout = scenario.create_checkout()
    scenario.stripe.pay(scenario.session_of(checkout))
    events = [event for event in scenario.stripe.events if event["type"] == "invoice.paid"]
    scenario.deliver_webhooks(*[rename_keys(event, mainstay_pledge_id=str(uuid.uuid4())) for event in events])
    scenario.run_until_idle()
    assert statuses(scenario) == {"invoice.paid": {EventStatus.PARKED}}


def test_unknown_subscription_of_a_known_customer_is_parked(scenario: StripeScenario) -> None:
    pledge, events = subscription_with_renewal(scenario)
    scenario.deliver_webhooks(*events)
    scenario.run_until_idle()
    again = copy.deepcopy(without_metadata(next(event for event in events if event["type"] == "invoice.paid")))
    again["id"], again["data"]["object"]["id"] = "evt_again", "in_again"
    again["data"]["object"]["parent"]["subscription_details"]["subscription"] = "sub_made_by_staff"
    for line in again["data"]["object"]["lines"]["data"]:
        line["parent"]["subscription_item_details"]["subscription"] = "sub_made_by_staff"
    scenario.deliver_webhooks(again)
    for _ in range(3):
        scenario.run_until_idle()
    assert EventStatus.PARKED in statuses(scenario)["invoice.paid"]
    assert len(scenario.snapshot(pledge)["payments"]) == 2


def test_installation_id_is_created_once_and_replaced_on_request(scenario: StripeScenario) -> None:
    database = scenario.container.database
    with database.transaction() as session:
        first = get_or_create_installation_id(session)
        assert get_or_create_installation_id(session) == first
    with database.transaction() as session:
        second = replace_installation_id(session)
    with database.read_only() as session:
        assert session.scalars(select(Installation.id)).all() == [second]
    assert first != second


def test_what_a_supporter_bought_of_another_product_is_ignored_when_refunded(scenario: StripeScenario) -> None:
    _, events = subscription_with_renewal(scenario)
    scenario.deliver_webhooks(*events)
    scenario.run_until_idle()
    customer = next(event for event in events if event["type"] == "invoice.paid")["data"]["object"]["customer"]
    before = len(scenario.stripe.events)
    params = payment_session_params(customer=customer)
    session = scenario.stripe.client().v1.checkout.sessions.create(params=params)
    scenario.stripe.refund(scenario.stripe.pay(session.id)["id"], 100)
    [refunded] = [event for event in scenario.stripe.events[before:] if event["type"] == "charge.refunded"]
    assert refunded["data"]["object"]["customer"] == customer
    scenario.deliver_webhooks(refunded)
    scenario.run_until_idle()
    assert statuses(scenario)["charge.refunded"] == {EventStatus.IGNORED}
