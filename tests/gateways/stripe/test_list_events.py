"""What we ask Stripe to send is what we handle, by webhook and by its list of events."""

import datetime

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

PROMISED = {
    "checkout.session.completed",
    "checkout.session.expired",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.upcoming",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.closed",
    "payment_intent.payment_failed",
}


def test_the_list_that_stripe_is_told_is_the_list_that_we_handle(api: StripeApiClient, double: FakeStripe) -> None:
    upsert_webhook_endpoint(api, f"{PAGE}/v1/webhooks/stripe")
    (endpoint,) = double.account.all("webhook_endpoint")
    assert set(endpoint["enabled_events"]) == set(EVENT_PARSERS) == PROMISED
    assert len(endpoint["enabled_events"]) == len(EVENT_PARSERS)


def test_events_since_are_those_that_a_webhook_would_have_brought(
    double: FakeStripe, events: StripeEvents, clock: FakeClock
) -> None:
    since = clock()
    double.settings.event_retention_days = 400
    one_year_subscription(double)
    wanted = [event for event in double.events if event["type"] in EVENT_PARSERS]
    found = list(events.list_events_since(since))
    assert {one.reference for one in found} == {event["id"] for event in wanted}
    assert len(found) == len(wanted)
    by_name = {event["id"]: event for event in wanted}
    for one in found:
        event = by_name[one.reference]
        assert (one.kind, one.occurred_at.timestamp()) == (event["type"], event["created"])
        by_webhook = events.authenticate(
            payload_of(event), signed(payload_of(event), SECRET, clock().timestamp()), now=clock()
        )
        assert events.parse_event(one.payload) == events.parse_event(by_webhook.payload)


def test_events_before_a_moment_are_not_asked_for(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, clock: FakeClock
) -> None:
    name = subscribe(gateway, double)["subscription"]
    clock.advance(days=1)
    double.cancel_now(name)
    found = events.list_events_since(clock() - datetime.timedelta(hours=1))
    assert [one.kind for one in found] == ["customer.subscription.deleted"]


def test_more_events_than_a_page_holds_all_come_once(
    double: FakeStripe, events: StripeEvents, gateway: StripeGateway, clock: FakeClock
) -> None:
    subscribe(gateway, double)
    invoice = next(event for event in double.events if event["type"] == "invoice.paid")
    for number in range(250):
        double.account.events.append(invoice | {"id": f"evt_1More{number:03}"})
    found = [one.reference for one in events.list_events_since(clock()) if one.kind == "invoice.paid"]
    assert len(found) == len(set(found)) == 251


def test_a_list_that_breaks_off_is_unavailable(double: FakeStripe, events: StripeEvents, clock: FakeClock) -> None:
    double.faults.respond(503, "GET /v1/events", times=2)
    with pytest.raises(GatewayUnavailable):
        list(events.list_events_since(clock()))
