"""Billing objects as Stripe's API returns them: products, prices, customers, subscriptions, invoices.

Each function stores and returns a new object. In this API version the period belongs to the items of a
subscription, an invoice names its subscription under `parent`, and the payment of an invoice is an object.
"""

import calendar
import datetime
from decimal import Decimal

from tests.stripe_double.account import Account, StripeJson

MONTHS = {"month": 1, "year": 12}


def new_product(account: Account, name: str, **fields: object) -> StripeJson:
    return account.store(
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


def new_price(account: Account, data: StripeJson, product_id: str, *, active: bool = True) -> StripeJson:
    """`data` is Stripe's `price_data`."""
    amount = data.get("unit_amount")
    if amount is None:
        amount = int(Decimal(data["unit_amount_decimal"]))
    recurring = data.get("recurring")
    if recurring:
        recurring = {"interval_count": 1, "meter": None, "usage_type": "licensed"} | recurring
    return account.store(
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
            "product": product_id,
            "recurring": recurring or None,
            "tax_behavior": "unspecified",
            "type": "recurring" if recurring else "one_time",
            "unit_amount": amount,
            "unit_amount_decimal": str(amount),
        }
    )


def new_customer(account: Account, email: str | None, name: str | None = None) -> StripeJson:
    return account.store(
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


def new_subscription(
    account: Account, customer: StripeJson, payment_method: StripeJson, data: StripeJson
) -> StripeJson:
    """Return an active subscription without items; `data` is Checkout's `subscription_data`."""
    return account.store(
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
            "customer": customer["id"],
            "days_until_due": None,
            "default_payment_method": payment_method["id"],
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


def new_item(account: Account, subscription: StripeJson, price: StripeJson, quantity: int) -> StripeJson:
    """Return an item whose first period starts now; it is part of its subscription and not stored."""
    recurring, start = price["recurring"], account.now()
    return {
        "id": account.new_id("si", 14),
        "object": "subscription_item",
        "created": start,
        "current_period_start": start,
        "current_period_end": period_end(start, start, recurring["interval"], recurring["interval_count"]),
        "discounts": [],
        "metadata": {},
        "price": dict(price),
        "quantity": quantity,
        "subscription": subscription["id"],
        "tax_rates": [],
    }


def total(subscription: StripeJson) -> int:
    """Return the amount of one period, in minor units."""
    return sum(item["price"]["unit_amount"] * item["quantity"] for item in subscription["items"]["data"])


def new_invoice(account: Account, subscription: StripeJson, reason: str, *, start: int, end: int) -> StripeJson:
    """Return a draft for one period; for the reason `upcoming` it is a preview, which is not stored."""
    upcoming = reason == "upcoming"
    invoice_id = account.new_id("upcoming_in_1" if upcoming else "in_1")
    customer = account.objects[subscription["customer"]]
    amount, balance = total(subscription), customer["balance"]
    # A negative balance is the customer's credit, a positive one is owed.
    amount_due = max(amount + balance, 0)
    lines = [
        _new_line_item(account, invoice_id, subscription, item, start, end)
        for item in subscription["items"]["data"]
    ]
    invoice = {
        "id": invoice_id,
        "object": "invoice",
        "amount_due": amount_due,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_paid_off_stripe": 0,
        "amount_remaining": amount_due,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": account.now(),
        "currency": subscription["currency"],
        "customer": subscription["customer"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "default_payment_method": None,
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "lines": {"object": "list", "data": lines, "has_more": False, "url": f"/v1/invoices/{invoice_id}/lines"},
        "livemode": account.livemode,
        "metadata": {},
        "next_payment_attempt": start if upcoming else account.now() + 3600,
        "number": None,
        "parent": {
            "quote_details": None,
            "subscription_details": {
                "metadata": dict(subscription["metadata"]),
                "subscription": subscription["id"],
            },
            "type": "subscription_details",
        },
        "period_end": account.now(),
        "period_start": subscription["billing_cycle_anchor"],
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "starting_balance": balance,
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": amount,
        "total": amount,
        "webhooks_delivered_at": None,
    }
    return invoice if upcoming else account.store(invoice)


def _new_line_item(
    account: Account, invoice_id: str, subscription: StripeJson, item: StripeJson, start: int, end: int
) -> StripeJson:
    price, quantity = item["price"], item["quantity"]
    return {
        "id": account.new_id("il_1"),
        "object": "line_item",
        "amount": price["unit_amount"] * quantity,
        "currency": price["currency"],
        "description": account.objects[price["product"]]["name"],
        "discountable": True,
        "discounts": [],
        "invoice": invoice_id,
        "livemode": account.livemode,
        "metadata": dict(subscription["metadata"]),
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        },
        "period": {"start": start, "end": end},
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": quantity,
        "subtotal": price["unit_amount"] * quantity,
        "taxes": [],
    }


def new_invoice_payment(account: Account, invoice: StripeJson, intent: StripeJson) -> StripeJson:
    """Return the open payment of an invoice, which references its intent."""
    return account.store(
        {
            "id": account.new_id("inpay_1"),
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": invoice["amount_due"],
            "created": account.now(),
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": account.livemode,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        }
    )


def period_end(anchor: int, start: int, interval: str, count: int) -> int:
    """Return the first end of a period after `start`.

    Periods count from the anchor, so one that ends on the 31st follows one that ends on the last day of a short
    month. Instants are whole seconds since 1970; a period is `count` times `interval` (`month` or `year`).
    """
    first = datetime.datetime.fromtimestamp(anchor, datetime.UTC)
    step, passed, end = MONTHS[interval] * count, 0, anchor
    while end <= start:
        passed += step
        years, month = divmod(first.month - 1 + passed, 12)
        last = calendar.monthrange(first.year + years, month + 1)[1]
        end = int(first.replace(year=first.year + years, month=month + 1, day=min(first.day, last)).timestamp())
    return end
