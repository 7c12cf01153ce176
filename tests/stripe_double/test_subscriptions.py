"""Gifts that repeat: renewal, decline and the end, and what the API lets us change."""

import datetime

import pytest
from stripe import InvalidRequestError, StripeClient

from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson
from tests.stripe_double.billing_objects import period_end
from tests.stripe_double.errors import StripeApiError
from tests.stripe_double.scenarios import one_year_subscription, open_subscription, subscription_session_params

DAY = 24 * 3600


def types(double: FakeStripe) -> list[str]:
    return [event["type"] for event in double.events]


def test_a_renewal_is_announced_a_week_before_and_paid_at_its_time(
    double: FakeStripe, stripe: StripeClient
) -> None:
    of = open_subscription(double, stripe, interval="year")
    charge = double.renew(of)
    (upcoming,) = [event for event in double.events if event["type"] == "invoice.upcoming"]
    assert charge["created"] - upcoming["created"] == 7 * DAY
    preview = upcoming["data"]["object"]
    assert (preview["billing_reason"], preview["next_payment_attempt"]) == ("upcoming", charge["created"])
    assert preview["id"] not in double.account.objects
    assert double.clock() == datetime.datetime(2027, 11, 23, 9, 30, tzinfo=datetime.UTC)
    invoices = stripe.v1.invoices.list(params={"subscription": of}).data
    assert [invoice.billing_reason for invoice in invoices] == ["subscription_cycle", "subscription_create"]
    intent = stripe.v1.payment_intents.retrieve(charge["payment_intent"])
    # Stripe copies no metadata of a subscription to the intents of its invoices.
    assert intent.metadata.to_dict() == {}


def test_a_failed_renewal_is_past_due_until_it_recovers(double: FakeStripe, stripe: StripeClient) -> None:
    of = open_subscription(double, stripe)
    failed = double.fail_renewal(of)
    assert double.events[-1]["type"] == "customer.subscription.updated"
    assert double.events[-1]["data"]["previous_attributes"] == {"status": "active"}
    assert stripe.v1.subscriptions.retrieve(of).status == "past_due"
    invoice = double.get(double.get(of)["latest_invoice"])
    assert (invoice["status"], invoice["attempt_count"]) == ("open", 1)
    assert invoice["next_payment_attempt"] == failed["created"] + 3 * DAY
    double.fail_retry(of)
    paid = double.retry_successfully(of)
    assert paid["payment_intent"] == failed["payment_intent"]
    assert (invoice["status"], invoice["attempt_count"]) == ("paid", 3)
    assert double.get(of)["status"] == "active"


def test_stripe_gives_up_after_the_last_retry(double: FakeStripe, stripe: StripeClient) -> None:
    of = open_subscription(double, stripe)
    double.fail_renewal(of)
    double.exhaust_retries(of)
    ended = double.events[-1]
    assert ended["type"] == "customer.subscription.deleted"
    assert ended["data"]["object"]["status"] == "canceled"
    assert ended["data"]["object"]["cancellation_details"]["reason"] == "payment_failed"
    assert double.get(double.get(of)["latest_invoice"])["next_payment_attempt"] is None


def test_an_amount_is_changed_on_the_item_and_charged_from_the_next_period(
    double: FakeStripe, stripe: StripeClient
) -> None:
    of = open_subscription(double, stripe, amount=500)
    item = stripe.v1.subscriptions.retrieve(of)["items"].data[0]
    price = {
        "currency": "usd",
        "product": item.price.product,
        "unit_amount": 900,
        "recurring": {"interval": "month"},
    }
    asked = {"items": [{"id": item.id, "price_data": price}], "proration_behavior": "none"}
    changed = stripe.v1.subscriptions.update(of, params={**asked, "metadata": {"note": "x"}})
    assert changed["items"].data[0].price.unit_amount == 900
    assert changed.metadata.to_dict() == {"pledge": "pledge-1", "note": "x"}
    assert "items" in double.events[-1]["data"]["previous_attributes"]
    assert double.renew(of)["amount"] == 900


def test_an_item_without_its_id_is_added_and_paid_beside_the_first(
    double: FakeStripe, stripe: StripeClient
) -> None:
    of = open_subscription(double, stripe, amount=500)
    item = stripe.v1.subscriptions.retrieve(of)["items"].data[0]
    price = {
        "currency": "usd",
        "product": item.price.product,
        "unit_amount": 900,
        "recurring": {"interval": "month"},
    }
    stripe.v1.subscriptions.update(of, params={"items": [{"price_data": price}], "proration_behavior": "none"})
    assert double.renew(of)["amount"] == 1400


def test_a_price_in_another_currency_is_refused(double: FakeStripe, stripe: StripeClient) -> None:
    of = open_subscription(double, stripe)
    item = stripe.v1.subscriptions.retrieve(of)["items"].data[0]
    made = stripe.v1.prices.create(
        params={
            "currency": "eur",
            "unit_amount": 700,
            "product": item.price.product,
            "recurring": {"interval": "month"},
        }
    )
    with pytest.raises(InvalidRequestError, match="only supports `eur`"):
        stripe.v1.subscriptions.update(
            of, params={"items": [{"id": item.id, "price": made.id}], "proration_behavior": "none"}
        )


def test_a_cancelled_subscription_is_gone(double: FakeStripe, stripe: StripeClient) -> None:
    of = open_subscription(double, stripe)
    assert stripe.v1.subscriptions.cancel(of).status == "canceled"
    assert double.events[-1]["type"] == "customer.subscription.deleted"
    with pytest.raises(InvalidRequestError) as refused:
        stripe.v1.subscriptions.cancel(of)
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
    with pytest.raises(InvalidRequestError, match="canceled subscription"):
        stripe.v1.subscriptions.update(of, params={"cancel_at_period_end": True})
    with pytest.raises(StripeApiError, match="is canceled"):
        double.renew(of)
    assert stripe.v1.subscriptions.list().data == []
    assert len(stripe.v1.subscriptions.list(params={"status": "all"}).data) == 1


def test_a_subscription_that_is_to_stop_stops_at_its_period_s_end(
    double: FakeStripe, stripe: StripeClient
) -> None:
    of = open_subscription(double, stripe)
    stopping = stripe.v1.subscriptions.update(of, params={"cancel_at_period_end": True})
    assert (stopping.status, stopping.cancel_at_period_end) == ("active", True)
    double.renew(of)
    assert double.events[-1]["type"] == "customer.subscription.deleted"
    assert double.events[-1]["created"] == stopping.cancel_at
    assert "invoice.upcoming" not in types(double)


def charged_card(double: FakeStripe, of: StripeJson) -> str:
    """Return the card of a subscription's next payment."""
    double.renew(of["id"])
    return str(double.account.all("charge")[-1]["payment_method"])


def test_a_card_is_saved_in_the_portal(double: FakeStripe, stripe: StripeClient) -> None:
    of = double.get(open_subscription(double, stripe))
    portal = stripe.v1.billing_portal.sessions.create(
        params={
            "customer": of["customer"],
            "return_url": "https://news.example/me",
            "flow_data": {"type": "payment_method_update"},
        }
    )
    assert (portal.flow.type, portal.return_url) == ("payment_method_update", "https://news.example/me")
    card = double.update_card(of["customer"])
    who = stripe.v1.customers.retrieve(of["customer"])
    assert who.invoice_settings.default_payment_method == card["id"]
    assert charged_card(double, of) == of["default_payment_method"] != card["id"]
    stripe.v1.subscriptions.update(of["id"], params={"default_payment_method": ""})
    assert charged_card(double, of) == card["id"]
    with pytest.raises(InvalidRequestError, match="No such customer"):
        stripe.v1.billing_portal.sessions.create(params={"customer": "cus_nobody"})


def test_a_month_that_is_too_short_gives_the_day_back_to_the_next() -> None:
    end = anchor = int(datetime.datetime(2027, 1, 31, 9, tzinfo=datetime.UTC).timestamp())
    days = []
    for _ in range(4):
        end = period_end(anchor, end, "month", 1)
        days.append(datetime.datetime.fromtimestamp(end, datetime.UTC).date().isoformat())
    assert days == ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]


@pytest.mark.parametrize("outcome", ["won", "lost"])
def test_a_year_has_twelve_payments_a_refund_and_a_dispute(outcome) -> None:
    year = one_year_subscription(FakeStripe(), amount=700, dispute=outcome)
    assert (year.paid, year.refunded, year.lost) == (8400, 200, 700 if outcome == "lost" else 0)
    told = types(year.double)
    assert told.count("invoice.paid") == 12
    assert told.count("invoice.payment_failed") == told.count("charge.refunded") == 1
    assert told.count("charge.dispute.created") == told.count("charge.dispute.closed") == 1
    created = [event["created"] for event in year.events]
    assert created == sorted(created)
    assert len({event["id"] for event in year.events}) == len(told)


def test_a_year_may_begin_at_a_bank_and_end_with_a_card_that_fails() -> None:
    year = one_year_subscription(FakeStripe(), by_bank_debit=True, exhausts_retries=True, dispute=None)
    assert len(year.charges) == 11
    told = types(year.double)
    assert "checkout.session.async_payment_succeeded" in told
    assert told[-1] == "customer.subscription.deleted"


def test_the_same_year_is_told_in_the_same_words() -> None:
    assert one_year_subscription(FakeStripe()).events == one_year_subscription(FakeStripe()).events


def test_a_year_may_follow_a_session_that_was_asked_for(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=subscription_session_params(amount=300))
    assert one_year_subscription(double, session=session.id).paid == 3600
