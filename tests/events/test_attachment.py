"""Parked events: the advice about each, the alert to staff, and attaching one to a pledge."""

import copy
import json
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import EmailKind, EventStatus, Frequency, PledgeStatus, Scope
from service.container import Container
from service.db.models.admin import AuditEntry
from service.db.models.email import OutgoingEmail
from service.db.models.payment import GatewayEvent
from service.db.models.pledge import FormerSubscription, Pledge
from service.domain.errors import InvalidTransition, PaymentMismatch
from service.domain.payments.attachment import attach_event
from service.domain.supporters import erase_supporter
from tests.api.client import auth_headers
from tests.events.stripe_fixture import StripeScenario
from tests.events.test_event_owners import without_metadata
from tests.stripe_double.account import StripeJson

EMAIL = "ada@news.example"


def renamed(event: StripeJson, *ids: str | None) -> StripeJson:
    """Return a copy of an event with these ids, and its own, replaced by others."""
    text = json.dumps(event)
    for name in (event["id"], *ids):
        if name is not None:
            text = text.replace(f'"{name}"', f'"{name}Again"')
    return json.loads(text)


def paid_once(scenario: StripeScenario) -> tuple[uuid.UUID, StripeJson]:
    """Return a paid one-time pledge, and the event of a second payment of it."""
    checkout = scenario.create_checkout(Frequency.ONCE, amount=1000)
    session = scenario.session_of(checkout)
    scenario.stripe.pay(session, email=EMAIL)
    event = next(item for item in scenario.stripe.events if item["type"] == "checkout.session.completed")
    scenario.deliver_webhooks(event)
    scenario.run_until_idle()
    return checkout.id, renamed(event, event["data"]["object"]["payment_intent"], session)


def cancelled_with_new_subscription(
    scenario: StripeScenario, *, late: str | None = None
) -> tuple[uuid.UUID, list[StripeJson]]:
    """Return a monthly pledge that was cancelled, and the events of a new subscription of its customer.

    Events of the kind `late` are not delivered.
    """
    checkout = scenario.create_checkout()
    session = scenario.session_of(checkout)
    scenario.stripe.pay(session, email=EMAIL)
    subscription = scenario.stripe.get(session)["subscription"]
    scenario.stripe.renew(subscription)
    kinds = ("invoice.paid", "customer.subscription.updated")
    again = [copy.deepcopy(event) for event in scenario.stripe.events if event["type"] in kinds][-2:]
    again = [
        renamed(
            without_metadata(event), subscription, event["data"]["object"]["id"], event["data"]["object"].get("id")
        )
        for event in again
    ]
    scenario.deliver_webhooks(*(event for event in scenario.stripe.events if event["type"] != late))
    scenario.run_until_idle()
    before = len(scenario.stripe.events)
    scenario.stripe.cancel_now(subscription)
    scenario.deliver_webhooks(*scenario.stripe.events[before:])
    scenario.run_until_idle()
    assert scenario.snapshot(checkout.id)["pledge"]["status"] == PledgeStatus.CANCELLED
    return checkout.id, again


def stored(container: Container, event: StripeJson) -> GatewayEvent:
    with container.database.read_only() as session:
        return session.scalars(select(GatewayEvent).where(GatewayEvent.reference == event["id"])).one()


def attach(scenario: StripeScenario, event: StripeJson, pledge: uuid.UUID) -> GatewayEvent:
    container = scenario.container
    return attach_event(
        container.database.transaction,
        container.event_source,
        stored(container, event).id,
        pledge,
        clock=container.clock,
    )


def alerts(container: Container) -> list[tuple[str, str | None, str | None]]:
    with container.database.read_only() as session:
        rows = session.scalars(select(OutgoingEmail).where(OutgoingEmail.kind == EmailKind.ALERT))
        return [(row.dedup_key.partition("@")[0], row.subject, row.body) for row in rows]


def test_second_payment_of_a_one_time_pledge_is_parked_and_attached(
    scenario: StripeScenario, container: Container
) -> None:
    pledge, second = paid_once(scenario)
    scenario.deliver_webhooks(second)
    scenario.run_until_idle()
    parked = stored(container, second)
    assert (parked.status, parked.reason) == (
        EventStatus.PARKED,
        "This one-time pledge was paid already, by another payment.",
    )
    for _ in range(2):
        assert attach(scenario, second, pledge).status == EventStatus.APPLIED
    found = scenario.snapshot(pledge)
    assert [payment[2] for payment in found["payments"]] == [1000, 1000]
    assert found["pledge"]["status"] == PledgeStatus.COMPLETED
    # Other events about either payment count as reported before.
    first = next(item for item in scenario.stripe.events if item["type"] == "checkout.session.completed")
    again = [dict(event, id=f"{event['id']}Late") for event in (first, second)]
    scenario.deliver_webhooks(*again)
    scenario.run_until_idle()
    assert {stored(container, event).status for event in again} == {EventStatus.APPLIED}
    assert scenario.snapshot(pledge) == found


def test_new_subscription_of_a_cancelled_pledge_is_attached_and_the_rest_follows(
    scenario: StripeScenario, container: Container
) -> None:
    pledge, (*others, last) = cancelled_with_new_subscription(scenario)
    scenario.deliver_webhooks(*others, last)
    scenario.run_until_idle()
    assert {stored(container, event).status for event in (*others, last)} == {EventStatus.PARKED}
    paid = next(event for event in (*others, last) if event["type"] == "invoice.paid")
    attach(scenario, paid, pledge)
    scenario.run_until_idle()
    assert {stored(container, event).status for event in (*others, last)} == {EventStatus.APPLIED}
    found = scenario.snapshot(pledge)
    assert found["pledge"]["status"] == PledgeStatus.ACTIVE
    assert found["pledge"]["subscription_reference"].endswith("Again")
    assert len(found["payments"]) == 3
    # A late event about the former subscription ends nothing.
    deleted = next(event for event in scenario.stripe.events if event["type"] == "customer.subscription.deleted")
    late = dict(deleted, id="evt_late")
    scenario.deliver_webhooks(late)
    scenario.run_until_idle()
    assert stored(container, late).status == EventStatus.APPLIED
    assert scenario.snapshot(pledge) == found
    with container.database.read_only() as session:
        assert session.scalars(select(FormerSubscription.pledge_id)).all() == [pledge]


def test_checkout_that_is_reported_after_an_attachment_still_tells_whose_the_pledge_is(
    scenario: StripeScenario, container: Container
) -> None:
    pledge, events = cancelled_with_new_subscription(scenario, late="checkout.session.completed")
    scenario.deliver_webhooks(*events)
    scenario.run_until_idle()
    attach(scenario, next(event for event in events if event["type"] == "invoice.paid"), pledge)
    scenario.run_until_idle()
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    with container.database.read_only() as session:
        row = session.get_one(Pledge, pledge)
        assert row.supporter.email == EMAIL
        assert (row.status, row.subscription_reference[-5:]) == (PledgeStatus.ACTIVE, "Again")
        receipts = session.scalars(select(OutgoingEmail).where(OutgoingEmail.kind == EmailKind.RECEIPT)).all()
        assert len(receipts) == 3


def test_payload_of_an_event_that_is_attached_to_an_erased_pledge_is_deleted(
    scenario: StripeScenario, container: Container
) -> None:
    pledge, events = cancelled_with_new_subscription(scenario)
    with container.database.transaction() as session:
        erase_supporter(session, EMAIL, now=container.clock())
    paid = next(event for event in events if event["type"] == "invoice.paid")
    paid["data"]["object"]["customer_email"] = EMAIL
    scenario.deliver_webhooks(paid)
    scenario.run_until_idle()
    assert stored(container, paid).status == EventStatus.PARKED
    assert attach(scenario, paid, pledge).status == EventStatus.APPLIED
    assert stored(container, paid).payload is None
    with container.database.read_only() as session:
        row = session.get_one(Pledge, pledge)
        assert row.supporter_id is None
        assert row.cancel_requested_at is not None


def test_reader_is_told_of_each_cancellation(scenario: StripeScenario, container: Container) -> None:
    pledge, events = cancelled_with_new_subscription(scenario)
    scenario.deliver_webhooks(*events)
    scenario.run_until_idle()
    attach(scenario, next(event for event in events if event["type"] == "invoice.paid"), pledge)
    scenario.run_until_idle()
    deleted = next(event for event in scenario.stripe.events if event["type"] == "customer.subscription.deleted")
    again = renamed(deleted, deleted["data"]["object"]["id"])
    again["created"] += 60
    for event in (again, dict(again, id="evt_repeated")):
        scenario.deliver_webhooks(event)
        scenario.run_until_idle()
    assert scenario.snapshot(pledge)["pledge"]["status"] == PledgeStatus.CANCELLED
    with container.database.read_only() as session:
        is_cancellation = OutgoingEmail.kind == EmailKind.CANCELLED
        assert len(session.scalars(select(OutgoingEmail.id).where(is_cancellation)).all()) == 2


def test_event_is_attached_to_no_pledge_whose_own_subscription_runs(scenario: StripeScenario) -> None:
    _, (*_, event) = cancelled_with_new_subscription(scenario)
    scenario.deliver_webhooks(event)
    scenario.run_until_idle()
    running = scenario.create_checkout()
    before = len(scenario.stripe.events)
    scenario.stripe.pay(scenario.session_of(running))
    scenario.deliver_webhooks(*scenario.stripe.events[before:])
    scenario.run_until_idle()
    with pytest.raises(InvalidTransition, match="cancel the pledge first"):
        attach(scenario, event, running.id)
    once = scenario.create_checkout(Frequency.ONCE)
    with pytest.raises(InvalidTransition, match="no subscription"):
        attach(scenario, event, once.id)


def test_applied_event_is_attached_to_no_other_pledge(scenario: StripeScenario) -> None:
    pledge, second = paid_once(scenario)
    scenario.deliver_webhooks(second)
    scenario.run_until_idle()
    attach(scenario, second, pledge)
    with pytest.raises(InvalidTransition, match="applied already"):
        attach(scenario, second, scenario.create_checkout(Frequency.ONCE).id)


def test_event_without_payment_is_not_attached(scenario: StripeScenario) -> None:
    pledge, second = paid_once(scenario)
    expired = dict(second, id="evt_expired", type="checkout.session.expired")
    scenario.deliver_webhooks(expired)
    with pytest.raises(PaymentMismatch, match="neither a payment nor a subscription"):
        attach(scenario, expired, pledge)


def test_staff_get_one_alert_a_day_about_parked_money(scenario: StripeScenario, container: Container) -> None:
    _, second = paid_once(scenario)
    other = renamed(second, second["data"]["object"]["payment_intent"])
    scenario.deliver_webhooks(second, other)
    scenario.run_until_idle()
    ((topic, subject, body),) = alerts(container)
    assert (topic, subject) == ("parked_money", "Money at Stripe needs your attention")
    assert body is not None
    assert "mainstay stripe attach" in body
    assert EMAIL not in body


def test_api_explains_a_parked_event_and_attaches_it(
    scenario: StripeScenario, container: Container, client: FlaskClient
) -> None:
    pledge, second = paid_once(scenario)
    scenario.deliver_webhooks(second)
    scenario.run_until_idle()
    headers = auth_headers(container, Scope.READ, Scope.MANAGE)
    (item,) = client.get("/v1/admin/events?status=parked", headers=headers).json["items"]
    assert item["advice"] == (
        "Refund it at Stripe, or count it as a second payment of the pledge: "
        f"mainstay stripe attach {item['id']} --pledge PLEDGE_ID"
    )
    assert client.get("/readyz").json["attention"] == {
        "parked_events": "1 parked, of which 1 about money; see mainstay stripe events --status parked"
    }
    metrics = client.get("/metrics", headers=headers).text
    assert 'mainstay_gateway_events_parked{kind="checkout.session.completed"} 1.0' in metrics
    assert "mainstay_gateway_events_parked_money 1.0" in metrics
    url, body = f"/v1/admin/events/{item['id']}/attach", {"pledge_id": str(pledge)}
    for _ in range(2):
        response = client.post(url, json=body, headers=headers)
        assert (response.status_code, response.json["status"], response.json["pledge"]) == (
            200,
            "applied",
            str(pledge),
        )
    assert client.post(url, json={"pledge_id": str(uuid.uuid4())}, headers=headers).status_code == 409
    assert client.post(url, json={}, headers=headers).status_code == 422
    assert client.post(url, json=body, headers=auth_headers(container, Scope.READ)).status_code == 403
    with container.database.read_only() as session:
        audited: Any = session.scalars(select(AuditEntry).where(AuditEntry.action == "attach_event")).first()
    assert audited.details == {"event": item["id"], "pledge": str(pledge)}
