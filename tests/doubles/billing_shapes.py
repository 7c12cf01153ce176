"""What a subscription looks like in Stripe's API: products, prices, subscriptions, invoices and their payments.

In this version the period is on the subscription's items, an invoice names its subscription under `parent`, and
the payment of an invoice is an object of its own.
"""

from decimal import Decimal

from tests.doubles.account import Account, Thing
from tests.doubles.periods import period_end


def product(account: Account, name: str, **fields: object) -> Thing:
    """Return a product, which only has a name."""
    return account.keep(
        {
            "id": account.new_id("prod", 14),
            "object": "product",
            "active": True,
            "created": account.now(),
            "default_price": None,
            "description": None,
            "images": [],
            "livemode": account.livemode,
            "metadata": {},
            "name": name,
            "type": "service",
            "updated": account.now(),
            **fields,
        }
    )


def price(account: Account, data: Thing, of: str, *, active: bool = True) -> Thing:
    """Return a price of a product; `data` is Stripe's `price_data`."""
    amount = data.get("unit_amount")
    if amount is None:
        amount = int(Decimal(data["unit_amount_decimal"]))
    recurring = data.get("recurring")
    if recurring:
        recurring = {"interval_count": 1, "meter": None, "usage_type": "licensed"} | recurring
    return account.keep(
        {
            "id": account.new_id("price_1"),
            "object": "price",
            "active": active,
            "billing_scheme": "per_unit",
            "created": account.now(),
            "currency": data["currency"].lower(),
            "livemode": account.livemode,
            "lookup_key": None,
            "metadata": {},
            "nickname": None,
            "product": of,
            "recurring": recurring or None,
            "tax_behavior": "unspecified",
            "type": "recurring" if recurring else "one_time",
            "unit_amount": amount,
            "unit_amount_decimal": str(amount),
        }
    )


def customer(account: Account, email: str | None, name: str | None = None) -> Thing:
    """Return a customer, whose card is yet to come."""
    return account.keep(
        {
            "id": account.new_id("cus", 14),
            "object": "customer",
            "address": None,
            "balance": 0,
            "created": account.now(),
            "currency": None,
            "default_source": None,
            "delinquent": False,
            "description": None,
            "email": email,
            "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None},
            "livemode": account.livemode,
            "metadata": {},
            "name": name,
            "phone": None,
            "preferred_locales": [],
            "shipping": None,
            "tax_exempt": "none",
        }
    )


def subscription(account: Account, who: Thing, method: Thing, data: Thing) -> Thing:
    """Return an active subscription that has no item yet; `data` is Checkout's `subscription_data`."""
    return account.keep(
        {
            "id": account.new_id("sub_1"),
            "object": "subscription",
            "application": None,
            "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
            "billing_cycle_anchor": account.now(),
            "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
            "cancel_at": None,
            "cancel_at_period_end": False,
            "canceled_at": None,
            "cancellation_details": {"comment": None, "feedback": None, "reason": None},
            "collection_method": "charge_automatically",
            "created": account.now(),
            "currency": None,
            "customer": who["id"],
            "days_until_due": None,
            "default_payment_method": method["id"],
            "description": data.get("description"),
            "discounts": [],
            "ended_at": None,
            "items": {"object": "list", "data": [], "has_more": False, "url": "/v1/subscription_items"},
            "latest_invoice": None,
            "livemode": account.livemode,
            "metadata": dict(data.get("metadata") or {}),
            "pause_collection": None,
            "pending_update": None,
            "schedule": None,
            "start_date": account.now(),
            "status": "active",
            "test_clock": None,
            "trial_end": None,
            "trial_start": None,
        }
    )


def item(account: Account, of: Thing, cost: Thing, quantity: int) -> Thing:
    """Return an item of a subscription: what is bought, and the period that it is bought for."""
    recurring, start = cost["recurring"], account.now()
    return {
        "id": account.new_id("si", 14),
        "object": "subscription_item",
        "created": start,
        "current_period_start": start,
        "current_period_end": period_end(start, start, recurring["interval"], recurring["interval_count"]),
        "discounts": [],
        "metadata": {},
        "price": dict(cost),
        "quantity": quantity,
        "subscription": of["id"],
        "tax_rates": [],
    }


def total(of: Thing) -> int:
    """Return what one period of a subscription costs, in minor units."""
    return sum(bought["price"]["unit_amount"] * bought["quantity"] for bought in of["items"]["data"])
