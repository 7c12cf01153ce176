"""Checkout parameters, and a year of one subscription, for tests."""

from dataclasses import dataclass, field
from typing import Any, Literal

from stripe import StripeClient

from tests.stripe_double import FakeStripe, checkout
from tests.stripe_double.account import StripeJson

SUCCESS_URL = "https://news.example/thanks?session={CHECKOUT_SESSION_ID}"
CANCEL_URL = "https://news.example/support"
Outcome = Literal["won", "lost"]


def payment_session_params(
    amount: int = 500, currency: str = "usd", *, pledge: str = "pledge-1", **changes: Any
) -> Any:
    """Return the parameters of a Checkout Session for one payment, in minor units."""
    return {
        "mode": "payment",
        "client_reference_id": pledge,
        "success_url": SUCCESS_URL,
        "cancel_url": CANCEL_URL,
        "line_items": [
            {
                "price_data": {
                    "currency": currency,
                    "unit_amount": amount,
                    "product_data": {"name": "Support"},
                },
                "quantity": 1,
            }
        ],
        "metadata": {"pledge": pledge},
        "payment_intent_data": {"metadata": {"pledge": pledge}},
        **changes,
    }


def subscription_session_params(
    amount: int = 500, currency: str = "usd", interval: str = "month", *, pledge: str = "pledge-1", **changes: Any
) -> Any:
    """Return the parameters of a Checkout Session for a payment each month or year."""
    params = payment_session_params(amount, currency, pledge=pledge, mode="subscription")
    params["subscription_data"] = params.pop("payment_intent_data")
    params["line_items"][0]["price_data"]["recurring"] = {"interval": interval}
    return params | changes


def open_subscription(double: FakeStripe, stripe: StripeClient, **params: Any) -> str:
    """Pay the Checkout Session of a subscription; return the id of the subscription."""
    session = stripe.v1.checkout.sessions.create(params=subscription_session_params(**params))
    double.pay(session.id)
    subscription: str = double.get(session.id)["subscription"]
    return subscription


@dataclass
class SubscriptionYear:
    """The objects of a year, and their sums in minor units.

    `events` are in Stripe's order; `charges` are the paid ones, `refunds` and `disputes` are in their final state.
    """

    double: FakeStripe
    session: StripeJson
    subscription: StripeJson
    charges: list[StripeJson] = field(default_factory=list)
    refunds: list[StripeJson] = field(default_factory=list)
    disputes: list[StripeJson] = field(default_factory=list)

    @property
    def events(self) -> list[StripeJson]:
        return self.double.events

    @property
    def paid(self) -> int:
        return sum(charge["amount"] for charge in self.charges)

    @property
    def refunded(self) -> int:
        return sum(refund["amount"] for refund in self.refunds)

    @property
    def lost(self) -> int:
        """Return the sum of the lost disputes."""
        return sum(dispute["amount"] for dispute in self.disputes if dispute["status"] == "lost")


def one_year_subscription(
    double: FakeStripe,
    *,
    pledge: str = "pledge-1",
    amount: int = 500,
    currency: str = "usd",
    dispute: Outcome | None = "won",
    refunds: int | None = 200,
    exhausts_retries: bool = False,
    by_bank_debit: bool = False,
    session: str | None = None,
) -> SubscriptionYear:
    """Run twelve monthly payments, and return the year.

    The fifth payment fails and its retry succeeds; `refunds` minor units of the seventh are refunded; the ninth is
    disputed, and the dispute `won` or `lost`. With `exhausts_retries` the payment of the last month fails until
    Stripe cancels the subscription, so there are eleven payments. With `by_bank_debit` the first payment is a bank
    debit that takes four days. `session` is an open session; without it one is opened for this pledge. The server
    need not run.
    """
    opened = double.get(session) if session else _open_session(double, pledge, amount, currency)
    if by_bank_debit:
        double.pay_by_bank_debit(opened["id"])
        first = double.settle_bank_debit(opened["id"])
    else:
        first = double.pay(opened["id"])
    year = SubscriptionYear(double, opened, double.get(opened["subscription"]), [first])
    subscription = year.subscription["id"]
    for month in range(2, 13):
        if month == 12 and exhausts_retries:
            double.fail_renewal(subscription)
            double.fail_retry(subscription)
            double.exhaust_retries(subscription)
        elif month == 5:
            double.fail_renewal(subscription)
            year.charges.append(double.retry_successfully(subscription))
        else:
            year.charges.append(double.renew(subscription))
        if month == 7 and refunds is not None:
            year.refunds.append(double.refund(year.charges[-1]["id"], refunds))
        if month == 9 and dispute is not None:
            year.disputes.append(double.open_dispute(year.charges[-1]["id"]))
        if month == 11 and dispute is not None:
            double.close_dispute(year.disputes[0]["id"], dispute)
    return year


def _open_session(double: FakeStripe, pledge: str, amount: int, currency: str) -> StripeJson:
    """Open a Checkout Session without the HTTP server."""
    with double.account.lock:
        return checkout.open_session(double.account, subscription_session_params(amount, currency, pledge=pledge))
