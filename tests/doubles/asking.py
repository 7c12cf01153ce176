"""What the tests of the double ask Checkout for: one gift, or one that repeats."""

from typing import Any

from stripe import StripeClient

SUCCESS = "https://news.example/thanks?session={CHECKOUT_SESSION_ID}"
CANCEL = "https://news.example/support"


def once(amount: int = 500, currency: str = "usd", **changes: Any) -> Any:
    """Return the parameters of a Checkout Session for one gift, in minor units."""
    return {
        "mode": "payment",
        "client_reference_id": "pledge-1",
        "success_url": SUCCESS,
        "cancel_url": CANCEL,
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
        "metadata": {"pledge": "pledge-1"},
        "payment_intent_data": {"metadata": {"pledge": "pledge-1"}},
        **changes,
    }


def repeating(amount: int = 500, currency: str = "usd", interval: str = "month", **changes: Any) -> Any:
    """Return the parameters of a Checkout Session for a gift each month or year."""
    asked = once(amount, currency) | {
        "mode": "subscription",
        "subscription_data": {"metadata": {"pledge": "pledge-1"}},
    }
    del asked["payment_intent_data"]
    asked["line_items"][0]["price_data"]["recurring"] = {"interval": interval}
    return asked | changes


def subscribed(double: Any, stripe: StripeClient, **asked: Any) -> str:
    """Pay a gift each month or year, and return the id of its subscription."""
    session = stripe.v1.checkout.sessions.create(params=repeating(**asked))
    double.pay(session.id)
    found: str = double.get(session.id)["subscription"]
    return found
