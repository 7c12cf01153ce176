"""Subscriptions: renewal, retries, cancellation, and changes by API calls."""

import datetime

import pytest
from stripe import InvalidRequestError, StripeClient

from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson
from tests.stripe_double.billing_objects import period_end
from tests.stripe_double.errors import StripeApiError
from tests.stripe_double.scenarios import one_year_subscription, open_subscription, subscription_session_params

DAY = 24 * 3600


def event_types(double: FakeStripe) -> list[str]:
    return [event["type"] for event in double.events]


def test_upcoming_invoice_precedes_renewal_by_seven_days(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe, interval="year")
    charge = double.renew(subscription)
    (upcoming,) = [event for event in double.events if event["type"] == "invoice.upcoming"]
    assert charge["created"] - upcoming["created"] == 7 * DAY
    preview = upcoming["data"]["object"]
    assert (preview["billing_reason"], preview["next_payment_attempt"]) == ("upcoming", charge["created"])
    assert preview["id"] not in double.account.objects
    assert double.clock() == datetime.datetime(2027, 11, 23, 9, 30, tzinfo=datetime.UTC)
    invoices = stripe.v1.invoices.list(params={"subscription": subscription}).data
    assert [invoice.billing_reason for invoice in invoices] == ["subscription_cycle", "subscription_create"]
    intent = stripe.v1.payment_intents.retrieve(charge["payment_intent"])
    # Stripe copies no metadata of a subscription to the intents of its invoices.
    assert intent.metadata.to_dict() == {}


def test_failed_renewal_is_past_due_until_retry_succeeds(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe)
    failed = double.fail_renewal(subscription)
    assert double.events[-1]["type"] == "customer.subscription.updated"
    assert double.events[-1]["data"]["previous_attributes"] == {"status": "active"}
    assert stripe.v1.subscriptions.retrieve(subscription).status == "past_due"
    invoice = double.get(double.get(subscription)["latest_invoice"])
    assert (invoice["status"], invoice["attempt_count"]) == ("open", 1)
    assert invoice["next_payment_attempt"] == failed["created"] + 3 * DAY
    double.fail_retry(subscription)
    paid = double.retry_successfully(subscription)
    assert paid["payment_intent"] == failed["payment_intent"]
    assert (invoice["status"], invoice["attempt_count"]) == ("paid", 3)
    assert double.get(subscription)["status"] == "active"


def test_exhausted_retries_cancel_subscription(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe)
    double.fail_renewal(subscription)
    double.exhaust_retries(subscription)
    ended = double.events[-1]
    assert ended["type"] == "customer.subscription.deleted"
    assert ended["data"]["object"]["status"] == "canceled"
    assert ended["data"]["object"]["cancellation_details"]["reason"] == "payment_failed"
    assert double.get(double.get(subscription)["latest_invoice"])["next_payment_attempt"] is None


def test_item_amount_changes_from_next_period(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe, amount=500)
    item = stripe.v1.subscriptions.retrieve(subscription)["items"].data[0]
    price = {
        "currency": "usd",
        "product": item.price.product,
        "unit_amount": 900,
        "recurring": {"interval": "month"},
    }
    params = {"items": [{"id": item.id, "price_data": price}], "proration_behavior": "none"}
    changed = stripe.v1.subscriptions.update(subscription, params={**params, "metadata": {"note": "x"}})
    assert changed["items"].data[0].price.unit_amount == 900
    assert changed.metadata.to_dict() == {"pledge": "pledge-1", "note": "x"}
    assert "items" in double.events[-1]["data"]["previous_attributes"]
    assert double.renew(subscription)["amount"] == 900


def test_item_without_id_is_added_beside_the_first(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe, amount=500)
    item = stripe.v1.subscriptions.retrieve(subscription)["items"].data[0]
    price = {
        "currency": "usd",
        "product": item.price.product,
        "unit_amount": 900,
        "recurring": {"interval": "month"},
    }
    stripe.v1.subscriptions.update(
        subscription, params={"items": [{"price_data": price}], "proration_behavior": "none"}
    )
    assert double.renew(subscription)["amount"] == 1400


def test_price_in_another_currency_returns_400(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe)
    item = stripe.v1.subscriptions.retrieve(subscription)["items"].data[0]
    new_price = stripe.v1.prices.create(
        params={
            "currency": "eur",
            "unit_amount": 700,
            "product": item.price.product,
            "recurring": {"interval": "month"},
        }
    )
    with pytest.raises(InvalidRequestError, match="only supports `eur`"):
        stripe.v1.subscriptions.update(
            subscription, params={"items": [{"id": item.id, "price": new_price.id}], "proration_behavior": "none"}
        )


def test_canceled_subscription_is_not_found(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe)
    assert stripe.v1.subscriptions.cancel(subscription).status == "canceled"
    assert double.events[-1]["type"] == "customer.subscription.deleted"
    with pytest.raises(InvalidRequestError) as raised:
        stripe.v1.subscriptions.cancel(subscription)
    assert (raised.value.http_status, raised.value.code) == (404, "resource_missing")
    with pytest.raises(InvalidRequestError, match="canceled subscription"):
        stripe.v1.subscriptions.update(subscription, params={"cancel_at_period_end": True})
    with pytest.raises(StripeApiError, match="is canceled"):
        double.renew(subscription)
    assert stripe.v1.subscriptions.list().data == []
    assert len(stripe.v1.subscriptions.list(params={"status": "all"}).data) == 1


def test_cancel_at_period_end_cancels_at_renewal(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe)
    stopping = stripe.v1.subscriptions.update(subscription, params={"cancel_at_period_end": True})
    assert (stopping.status, stopping.cancel_at_period_end) == ("active", True)
    double.renew(subscription)
    assert double.events[-1]["type"] == "customer.subscription.deleted"
    assert double.events[-1]["created"] == stopping.cancel_at
    assert "invoice.upcoming" not in event_types(double)


def charged_card(double: FakeStripe, subscription: StripeJson) -> str:
    """Return the card of a subscription's next payment."""
    double.renew(subscription["id"])
    return str(double.account.all("charge")[-1]["payment_method"])


def test_portal_card_becomes_customer_default(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = double.get(open_subscription(double, stripe))
    portal = stripe.v1.billing_portal.sessions.create(
        params={
            "customer": subscription["customer"],
            "return_url": "https://news.example/me",
            "flow_data": {"type": "payment_method_update"},
        }
    )
    assert (portal.flow.type, portal.return_url) == ("payment_method_update", "https://news.example/me")
    card = double.update_card(subscription["customer"])
    customer = stripe.v1.customers.retrieve(subscription["customer"])
    assert customer.invoice_settings.default_payment_method == card["id"]
    assert charged_card(double, subscription) == subscription["default_payment_method"] != card["id"]
    stripe.v1.subscriptions.update(subscription["id"], params={"default_payment_method": ""})
    assert charged_card(double, subscription) == card["id"]
    with pytest.raises(InvalidRequestError, match="No such customer"):
        stripe.v1.billing_portal.sessions.create(params={"customer": "cus_nobody"})


def test_period_end_returns_to_day_31_after_short_month() -> None:
    end = anchor = int(datetime.datetime(2027, 1, 31, 9, tzinfo=datetime.UTC).timestamp())
    days = []
    for _ in range(4):
        end = period_end(anchor, end, "month", 1)
        days.append(datetime.datetime.fromtimestamp(end, datetime.UTC).date().isoformat())
    assert days == ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]


@pytest.mark.parametrize("outcome", ["won", "lost"])
def test_year_has_twelve_payments_a_refund_and_a_dispute(outcome) -> None:
    year = one_year_subscription(FakeStripe(), amount=700, dispute=outcome)
    assert (year.paid, year.refunded, year.lost) == (8400, 200, 700 if outcome == "lost" else 0)
    emitted = event_types(year.double)
    assert emitted.count("invoice.paid") == 12
    assert emitted.count("invoice.payment_failed") == emitted.count("charge.refunded") == 1
    assert emitted.count("charge.dispute.created") == emitted.count("charge.dispute.closed") == 1
    created = [event["created"] for event in year.events]
    assert created == sorted(created)
    assert len({event["id"] for event in year.events}) == len(emitted)


def test_year_with_bank_debit_and_exhausted_retries() -> None:
    year = one_year_subscription(FakeStripe(), by_bank_debit=True, exhausts_retries=True, dispute=None)
    assert len(year.charges) == 11
    emitted = event_types(year.double)
    assert "checkout.session.async_payment_succeeded" in emitted
    assert emitted[-1] == "customer.subscription.deleted"


def test_year_emits_same_events_each_time() -> None:
    assert one_year_subscription(FakeStripe()).events == one_year_subscription(FakeStripe()).events


def test_year_with_existing_session(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=subscription_session_params(amount=300))
    assert one_year_subscription(double, session=session.id).paid == 3600
