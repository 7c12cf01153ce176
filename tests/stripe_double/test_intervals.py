"""A subscription whose interval changes, as Stripe's "Billing cycle" and "Trials" describe it."""

import pytest
from stripe import InvalidRequestError, StripeClient

from tests.stripe_double import FakeStripe
from tests.stripe_double.scenarios import open_subscription


def change_interval(double: FakeStripe, stripe: StripeClient, subscription: str, **params: object) -> None:
    [item] = double.get(subscription)["items"]["data"]
    price = {
        "currency": "usd",
        "product": item["price"]["product"],
        "recurring": {"interval": "year"},
        "unit_amount": 6000,
    }
    changes = {"items": [{"id": item["id"], "price_data": price}], "proration_behavior": "none", **params}
    stripe.v1.subscriptions.update(subscription, params=changes)


def test_another_interval_starts_a_period_at_once_and_is_charged(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe)
    double.advance(days=10)
    change_interval(double, stripe, subscription)
    assert [charge["amount"] for charge in double.account.all("charge")] == [500, 6000]
    found = double.get(subscription)
    assert found["billing_cycle_anchor"] == double.account.now()
    assert found["items"]["data"][0]["current_period_start"] == double.account.now()


def test_trial_puts_the_first_payment_off_to_its_end(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe)
    end = double.get(subscription)["items"]["data"][0]["current_period_end"]
    double.advance(days=10)
    change_interval(double, stripe, subscription, trial_end=end)
    found = double.get(subscription)
    assert (found["status"], found["billing_cycle_anchor"]) == ("trialing", end)
    assert found["items"]["data"][0]["current_period_end"] == end
    newest = double.get(found["latest_invoice"])
    assert (newest["total"], newest["status"], newest["billing_reason"]) == (0, "paid", "subscription_update")
    assert len(double.account.all("charge")) == 1
    charge = double.renew(subscription)
    assert (charge["created"], charge["amount"], found["status"]) == (end, 6000, "active")


def test_trial_cannot_end_in_the_past(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe)
    with pytest.raises(InvalidRequestError, match="must be in the future"):
        change_interval(double, stripe, subscription, trial_end=double.account.now())


def test_trial_is_no_longer_than_two_years(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe)
    with pytest.raises(InvalidRequestError, match="no more than two years"):
        change_interval(double, stripe, subscription, trial_end=double.account.now() + 731 * 24 * 3600)
