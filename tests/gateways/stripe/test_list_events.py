"""The events that we subscribe to and list are exactly those with a parser."""

import datetime
import json

import pytest

from service.domain.ports import GatewayUnavailable
from service.gateways.stripe import StripeApiClient, StripeEvents, StripeGateway
from service.gateways.stripe.event_parsers import EVENT_PARSERS
from service.gateways.stripe.webhook_endpoint import upsert_webhook_endpoint
from tests.clock import FakeClock
from tests.gateways.stripe.factories import PAGE, SECRET, subscribe
from tests.stripe_double import FakeStripe
from tests.stripe_double.scenarios import one_year_subscription
from tests.stripe_double.webhooks import payload_of, signed

EXPECTED_EVENTS = {
    "checkout.session.completed",
    "checkout.session.expired",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.upcoming",
    "customer.subscription.updated",
    "customer.updated",
    "customer.subscription.deleted",
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
    "radar.early_fraud_warning.created",
    "payment_intent.payment_failed",
}


def test_webhook_endpoint_subscribes_to_exactly_the_parsed_events(
    api: StripeApiClient, double: FakeStripe
) -> None:
    upsert_webhook_endpoint(api, f"{PAGE}/v1/webhooks/stripe")
    (endpoint,) = double.account.all("webhook_endpoint")
    assert set(endpoint["enabled_events"]) == set(EVENT_PARSERS) == EXPECTED_EVENTS
    assert len(endpoint["enabled_events"]) == len(EVENT_PARSERS)


def test_list_events_yields_the_same_events_as_webhooks(
    double: FakeStripe, events: StripeEvents, clock: FakeClock
) -> None:
    since = clock()
    double.settings.event_retention_days = 400
    one_year_subscription(double)
    expected = [event for event in double.events if event["type"] in EVENT_PARSERS]
    found = list(events.list_events_since(since))
    assert {raw.reference for raw in found} == {event["id"] for event in expected}
    assert len(found) == len(expected)
    by_id = {event["id"]: event for event in expected}
    for raw in found:
        event = by_id[raw.reference]
        assert (raw.kind, raw.occurred_at.timestamp()) == (event["type"], event["created"])
        by_webhook = events.authenticate(
            payload_of(event), signed(payload_of(event), SECRET, clock().timestamp()), now=clock()
        )
        assert events.parse_event(raw.payload) == events.parse_event(by_webhook.payload)


def test_characters_that_cannot_be_stored_are_replaced_in_listed_events(
    double: FakeStripe, events: StripeEvents, clock: FakeClock
) -> None:
    since = clock()
    double.settings.event_retention_days = 400
    one_year_subscription(double)
    for event in double.account.events:
        event["data"]["object"]["description"] = "a\0b\ud800c"
    found = list(events.list_events_since(since))
    assert found
    for raw in found:
        assert json.loads(raw.payload)["data"]["object"]["description"] == "a\N{REPLACEMENT CHARACTER}b\ufffdc"


def test_list_events_excludes_events_before_since(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, clock: FakeClock
) -> None:
    subscription = subscribe(gateway, double)["subscription"]
    clock.advance(days=1)
    double.cancel_now(subscription)
    found = events.list_events_since(clock() - datetime.timedelta(hours=1))
    assert [raw.kind for raw in found] == ["customer.subscription.deleted"]


def test_list_events_pages_without_duplicates(
    double: FakeStripe, events: StripeEvents, gateway: StripeGateway, clock: FakeClock
) -> None:
    subscribe(gateway, double)
    invoice = next(event for event in double.events if event["type"] == "invoice.paid")
    for number in range(250):
        double.account.events.append(invoice | {"id": f"evt_1More{number:03}"})
    found = [raw.reference for raw in events.list_events_since(clock()) if raw.kind == "invoice.paid"]
    assert len(found) == len(set(found)) == 251


def test_server_error_while_listing_raises_unavailable(
    double: FakeStripe, events: StripeEvents, clock: FakeClock
) -> None:
    double.faults.respond(503, "GET /v1/events", times=2)
    with pytest.raises(GatewayUnavailable):
        list(events.list_events_since(clock()))
