"""What an invoice of a subscription looks like in Stripe's API, and the payment that belongs to it."""

from tests.doubles import billing_shapes
from tests.doubles.account import Account, Thing


def invoice(account: Account, of: Thing, reason: str, *, start: int, end: int) -> Thing:
    """Return a draft for one period of a subscription; for the reason `upcoming` it is a preview, not kept."""
    upcoming = reason == "upcoming"
    made = account.new_id("upcoming_in_1" if upcoming else "in_1")
    due = billing_shapes.total(of)
    who = account.things[of["customer"]]
    lines = [_line(account, made, of, bought, start, end) for bought in of["items"]["data"]]
    shape = {
        "id": made,
        "object": "invoice",
        "amount_due": due,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": due,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": account.now(),
        "currency": of["currency"],
        "customer": of["customer"],
        "customer_email": who["email"],
        "customer_name": who["name"],
        "default_payment_method": None,
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "lines": {"object": "list", "data": lines, "has_more": False, "url": f"/v1/invoices/{made}/lines"},
        "livemode": account.livemode,
        "metadata": {},
        "next_payment_attempt": start if upcoming else account.now() + 3600,
        "number": None,
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": dict(of["metadata"]), "subscription": of["id"]},
            "type": "subscription_details",
        },
        "period_end": account.now(),
        "period_start": of["billing_cycle_anchor"],
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": due,
        "total": due,
        "webhooks_delivered_at": None,
    }
    return shape if upcoming else account.keep(shape)


def _line(account: Account, made: str, of: Thing, bought: Thing, start: int, end: int) -> Thing:
    cost, quantity = bought["price"], bought["quantity"]
    return {
        "id": account.new_id("il_1"),
        "object": "line_item",
        "amount": cost["unit_amount"] * quantity,
        "currency": cost["currency"],
        "description": account.things[cost["product"]]["name"],
        "discountable": True,
        "discounts": [],
        "invoice": made,
        "livemode": account.livemode,
        "metadata": dict(of["metadata"]),
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "subscription": of["id"],
                "subscription_item": bought["id"],
            },
            "type": "subscription_item_details",
        },
        "period": {"start": start, "end": end},
        "pricing": {
            "price_details": {"price": cost["id"], "product": cost["product"]},
            "type": "price_details",
            "unit_amount_decimal": cost["unit_amount_decimal"],
        },
        "quantity": quantity,
        "subtotal": cost["unit_amount"] * quantity,
        "taxes": [],
    }


def payment(account: Account, of: Thing, intended: Thing) -> Thing:
    """Return the payment that an invoice waits for, which leads to its intent."""
    return account.keep(
        {
            "id": account.new_id("inpay_1"),
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": of["amount_due"],
            "created": account.now(),
            "currency": of["currency"],
            "invoice": of["id"],
            "is_default": True,
            "livemode": account.livemode,
            "payment": {"payment_intent": intended["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        }
    )
