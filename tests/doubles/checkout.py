"""Checkout Sessions: what may be asked for, and what comes of paying, declining and walking away.

See Stripe's "Checkout Sessions" and "Fulfill orders". A subscription comes into being when it is paid, not before.
"""

from typing import Any

from tests.doubles import billing, billing_shapes, charging, money_shapes
from tests.doubles.account import Account, Thing
from tests.doubles.refusal import Refusal
from tests.doubles.session_shape import check, session


def open_session(account: Account, params: dict[str, Any]) -> Thing:
    """Make a session from Stripe's parameters, or refuse them."""
    check(account, params)
    lines = []
    for line in params["line_items"]:
        if "price" in line:
            cost = account.find("price", line["price"])
        else:
            data = line["price_data"]
            named = data.get("product_data")
            of = billing_shapes.product(account, **named) if named else account.find("product", data["product"])
            cost = billing_shapes.price(account, data, of["id"], active=False)
        lines.append({"price": cost, "quantity": line.get("quantity", 1)})
    return session(account, params, lines)


def complete(account: Account, paid_for: Thing, *, email: str | None, bank: bool = False) -> None:
    """Pay a session by a card that is good, or ask a bank (`bank`), which answers days later."""
    _must_be_open(paid_for)
    if paid_for["mode"] == "subscription":
        _subscribe(account, paid_for, email=email, bank=bank)
    else:
        _give_once(account, paid_for, email=email, bank=bank)
    paid_for |= {"status": "complete", "url": None, "payment_status": "unpaid" if bank else "paid"}
    paid_for["customer_details"] = _details(email or paid_for["customer_email"])
    account.tell("checkout.session.completed", paid_for)


def decline(account: Account, asked: Thing, *, email: str | None, why: str) -> None:
    """Refuse the reader's card; the session stays open for another."""
    _must_be_open(asked)
    intended = _intent(account, asked)
    method = money_shapes.card(account, email=email or asked["customer_email"], customer=asked["customer"])
    charging.refuse(account, intended, method, why)


def bank_answers(account: Account, asked: Thing, *, paid: bool) -> None:
    """Let the bank pay, or not, for a completed session that is still unpaid."""
    intended = account.things[asked["#intent"]]
    if paid:
        charging.finish_debit(account, intended)
        asked["payment_status"] = "paid"
    else:
        charging.refuse_debit(account, intended)
    if asked["mode"] == "subscription":
        of, made = account.things[asked["subscription"]], account.things[asked["invoice"]]
        if paid:
            billing.mark_paid(account, made)
        else:
            billing.mark_unpaid(account, of, made, tries_again=True)
    account.tell(f"checkout.session.async_payment_{'succeeded' if paid else 'failed'}", asked)


def expire(account: Account, asked: Thing) -> None:
    """Close a session that nobody paid."""
    if asked["status"] != "open":
        message = 'Only Checkout Sessions with a status in ["open"] can be expired. '
        raise Refusal(f"{message}This Checkout Session has a status of `{asked['status']}`.", happened=True)
    asked |= {"status": "expired", "url": None}
    account.tell("checkout.session.expired", asked)


def _must_be_open(asked: Thing) -> None:
    if asked["status"] != "open":
        raise Refusal(f"This Checkout Session is {asked['status']}.")


def _intent(account: Account, asked: Thing) -> Thing:
    """Return the intent of a session, made when the reader first tries to pay."""
    if asked["#intent"] is None:
        data = asked["#payment_intent_data"]
        made = charging.begin(
            account,
            asked["amount_total"],
            asked["currency"],
            customer=asked["customer"],
            metadata=dict(data.get("metadata") or {}),
            description=data.get("description"),
            receipt_email=data.get("receipt_email"),
            statement_descriptor_suffix=data.get("statement_descriptor_suffix"),
        )
        asked["#intent"] = made["id"]
    return account.things[asked["#intent"]]


def _give_once(account: Account, paid_for: Thing, *, email: str | None, bank: bool) -> None:
    if paid_for["customer_creation"] == "always" and paid_for["customer"] is None:
        _meet(account, paid_for, email)
    intended = _intent(account, paid_for)
    paid_for["payment_intent"] = intended["id"]
    _charge(account, paid_for, intended, email=email, bank=bank)


def _subscribe(account: Account, paid_for: Thing, *, email: str | None, bank: bool) -> None:
    if paid_for["customer"] is None:
        _meet(account, paid_for, email)
    who = account.things[paid_for["customer"]]
    intended = _intent(account, paid_for)
    intended |= {
        "customer": who["id"],
        "description": "Subscription creation",
        "setup_future_usage": "off_session",
    }
    charge = _charge(account, paid_for, intended, email=email, bank=bank)
    method = account.things[charge["payment_method"]]
    of = billing_shapes.subscription(account, who, method, paid_for["#subscription_data"])
    billing.add_items(account, of, [(line["price"], line["quantity"]) for line in paid_for["#lines"]])
    made = billing.draft(account, of, "subscription_create", intended)
    account.tell("customer.subscription.created", of)
    if not bank:
        billing.mark_paid(account, made)
    paid_for |= {"subscription": of["id"], "invoice": made["id"]}


def _meet(account: Account, paid_for: Thing, email: str | None) -> None:
    who = billing_shapes.customer(account, email or paid_for["customer_email"])
    account.tell("customer.created", who)
    paid_for["customer"] = who["id"]


def _charge(account: Account, paid_for: Thing, intended: Thing, *, email: str | None, bank: bool) -> Thing:
    kind = "us_bank_account" if bank else "card"
    intended["customer"] = paid_for["customer"]
    method = money_shapes.card(
        account, email=email or paid_for["customer_email"], customer=paid_for["customer"], kind=kind
    )
    if bank:
        return charging.start_debit(account, intended, method)
    return charging.take(account, intended, method)


def _details(email: str | None) -> Thing:
    return {
        "address": {
            "country": "US",
            "postal_code": "12345",
            "city": None,
            "line1": None,
            "line2": None,
            "state": None,
        },
        "email": email,
        "name": None,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
