"""What a Checkout Session looks like, and what Stripe refuses when one is asked for.

Names that begin with `#` are the double's own and leave it in no answer.
"""

from typing import Any

from tests.doubles.account import Account, Thing
from tests.doubles.refusal import Refusal

DAY = 24 * 3600
# Stripe's "Minimum and maximum charge amounts", of the currencies that the tests use, in minor units.
MINIMUM = {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50, "cad": 50, "chf": 50, "sek": 300, "pln": 200, "huf": 17500}
MAXIMUM = 99_999_999
# Stripe's "Currencies": these have three decimals but the last must be 0; those are sent with two that must be 00.
THREE_DECIMALS, NO_CENTS = {"bhd", "jod", "kwd", "omr", "tnd"}, {"isk", "ugx"}


def check(account: Account, params: dict[str, Any]) -> None:
    """Refuse parameters that the types allow and Stripe does not."""
    mode = params.get("mode")
    _require(mode, "mode")
    _require(params.get("line_items"), "line_items")
    if params.get("ui_mode", "hosted_page") == "hosted_page":
        _require(params.get("success_url"), "success_url")
    for name, only in (
        ("payment_intent_data", "payment"),
        ("customer_creation", "payment"),
        ("invoice_creation", "payment"),
        ("subscription_data", "subscription"),
    ):
        if name in params and mode != only:
            raise Refusal(f"You can not pass `{name}` in `{mode}` mode.", param=name)
    if "customer" in params and "customer_email" in params:
        raise Refusal("You may only specify one of these parameters: customer, customer_email.", param="customer")
    if "customer" in params:
        account.find("customer", params["customer"])
    if len(params.get("client_reference_id", "")) > 200:
        raise Refusal("Invalid string: must be at most 200 characters", param="client_reference_id")
    closes = params.get("expires_at", account.now() + DAY)
    if not 30 * 60 <= closes - account.now() <= DAY:
        message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from creation."
        raise Refusal(message, param="expires_at")
    for holder in (params, params.get("payment_intent_data", {}), params.get("subscription_data", {})):
        check_metadata(holder.get("metadata") or {})
    for line in params["line_items"]:
        if "price_data" in line:
            check_price(line["price_data"], mode)


def check_metadata(given: dict[str, str]) -> None:
    """Refuse more metadata than Stripe keeps: 50 keys of 40 characters, values of 500."""
    if len(given) > 50:
        raise Refusal("Metadata can have up to 50 keys.", param="metadata")
    for name, value in given.items():
        if len(name) > 40 or len(value) > 500:
            raise Refusal(f"Metadata values can have up to 500 characters: {name}", param=f"metadata[{name}]")


def check_price(data: Thing, mode: str) -> None:
    """Refuse a price that Stripe cannot charge in this mode."""
    if ("product" in data) == ("product_data" in data):
        raise Refusal("You must specify either `product` or `product_data` when using `price_data`.")
    if mode == "subscription" and "recurring" not in data:
        message = "You must provide at least one recurring price in `subscription` mode when using prices."
        raise Refusal(message, param="line_items")
    if mode == "payment" and "recurring" in data:
        message = "You specified `payment` mode but passed a recurring price."
        raise Refusal(message, param="line_items")
    check_amount(data["currency"].lower(), int(data.get("unit_amount", data.get("unit_amount_decimal", 0))))


def check_amount(currency: str, amount: int) -> None:
    """Refuse an amount, in minor units, that Stripe does not charge in this currency."""
    least = MINIMUM.get(currency, 1)
    if amount < least:
        message = f"The Checkout Session's total amount must convert to at least {least} {currency}."
        raise Refusal(message, code="amount_too_small")
    if amount > MAXIMUM:
        raise Refusal("Amount must be no more than 999,999.99", code="amount_too_large")
    if (currency in THREE_DECIMALS and amount % 10) or (currency in NO_CENTS and amount % 100):
        raise Refusal(f"Invalid amount for {currency}: it must be evenly divisible.", param="unit_amount")


def session(account: Account, params: dict[str, Any], lines: list[Thing]) -> Thing:
    """Return an open session; its payment intent is made when the reader first tries to pay."""
    made = account.new_id(f"cs_{'live' if account.livemode else 'test'}", 58)
    total = sum(line["price"]["unit_amount"] * line["quantity"] for line in lines)
    default = "if_required" if params["mode"] == "payment" else "always"
    return account.keep(
        {
            "id": made,
            "object": "checkout.session",
            "after_expiration": None,
            "allow_promotion_codes": None,
            "amount_subtotal": total,
            "amount_total": total,
            "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
            "billing_address_collection": None,
            "cancel_url": params.get("cancel_url"),
            "client_reference_id": params.get("client_reference_id"),
            "client_secret": None,
            "consent": None,
            "created": account.now(),
            "currency": lines[0]["price"]["currency"],
            "custom_fields": [],
            "customer": params.get("customer"),
            "customer_creation": params.get("customer_creation", default),
            "customer_details": None,
            "customer_email": params.get("customer_email"),
            "discounts": [],
            "expires_at": params.get("expires_at", account.now() + DAY),
            "invoice": None,
            "livemode": account.livemode,
            "locale": params.get("locale"),
            "metadata": dict(params.get("metadata") or {}),
            "mode": params["mode"],
            "payment_intent": None,
            "payment_link": None,
            "payment_method_collection": "if_required" if params["mode"] == "payment" else "always",
            "payment_method_types": params.get("payment_method_types", ["card"]),
            "payment_status": "unpaid",
            "phone_number_collection": {"enabled": False},
            "recovered_from": None,
            "setup_intent": None,
            "shipping_options": [],
            "status": "open",
            "submit_type": params.get("submit_type"),
            "subscription": None,
            "success_url": params.get("success_url"),
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
            "ui_mode": params.get("ui_mode", "hosted_page"),
            "url": f"{account.base}/c/pay/{made}",
            "#intent": None,
            "#lines": lines,
            "#payment_intent_data": params.get("payment_intent_data") or {},
            "#subscription_data": params.get("subscription_data") or {},
        }
    )


def _require(value: object, name: str) -> None:
    if not value:
        raise Refusal(f"Missing required param: {name}.", code="parameter_missing", param=name)
