"""Checkout Sessions: their parameters, payment, decline and expiry.

See Stripe's "Checkout Sessions" and "Fulfill orders". A subscription is created when its session is paid.
"""

from typing import Any

from tests.stripe_double import billing, billing_objects, charges, payment_objects
from tests.stripe_double.account import DAY, Account, StripeJson
from tests.stripe_double.errors import StripeApiError
from tests.stripe_double.form_params import check_amount, check_metadata


def open_session(account: Account, params: dict[str, Any]) -> StripeJson:
    """Validate Stripe's parameters, and create a session."""
    validate(account, params)
    lines = []
    for line in params["line_items"]:
        if "price" in line:
            price = account.find("price", line["price"])
        else:
            data = line["price_data"]
            product_data = data.get("product_data")
            if product_data:
                product = billing_objects.new_product(account, **product_data)
            else:
                product = find_active_product(account, data["product"], "line_items[0][price_data][product]")
            price = billing_objects.new_price(account, data, product["id"], active=False)
        lines.append({"price": price, "quantity": line.get("quantity", 1)})
    return new_session(account, params, lines)


def find_active_product(account: Account, product_id: str, param: str) -> StripeJson:
    """Return the product of a new price.

    Raises:
        StripeApiError: there is no such product, or it is archived.
    """
    product = account.find_param("product", product_id, param)
    if not product["active"]:
        message = f"The product {product_id} is not active, so no new purchases of it can be made."
        raise StripeApiError(message, param=param)
    return product


def validate(account: Account, params: dict[str, Any]) -> None:
    """Reject parameters that the SDK's types allow and Stripe does not."""
    mode = params.get("mode")
    _require(mode, "mode")
    _require(params.get("line_items"), "line_items")
    if params.get("ui_mode", "hosted_page") == "hosted_page":
        _require(params.get("success_url"), "success_url")
    for name, only_mode in (
        ("payment_intent_data", "payment"),
        ("customer_creation", "payment"),
        ("invoice_creation", "payment"),
        ("subscription_data", "subscription"),
    ):
        if name in params and mode != only_mode:
            raise StripeApiError(f"You can not pass `{name}` in `{mode}` mode.", param=name)
    for name in ("customer_email", "customer_creation"):
        if "customer" in params and name in params:
            message = f"You may only specify one of these parameters: customer, {name}."
            raise StripeApiError(message, param="customer")
    if "customer" in params:
        customer = account.find_param("customer", params["customer"], "customer")
        if mode == "subscription":
            _check_currency(account, customer, params["line_items"])
    if len(params.get("client_reference_id", "")) > 200:
        raise StripeApiError("Invalid string: must be at most 200 characters", param="client_reference_id")
    expires_at = params.get("expires_at", account.now() + DAY)
    if not 30 * 60 <= expires_at - account.now() <= DAY:
        message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from creation."
        raise StripeApiError(message, param="expires_at")
    for holder in (params, params.get("payment_intent_data", {}), params.get("subscription_data", {})):
        check_metadata(holder.get("metadata") or {})
    for line in params["line_items"]:
        if "price_data" in line:
            _check_price(line["price_data"], mode)


def _check_currency(account: Account, customer: StripeJson, lines: list[StripeJson]) -> None:
    """Reject a second currency of a customer's subscriptions."""
    for line in lines:
        data = line.get("price_data") or account.find("price", line["price"])
        if customer["currency"] not in (None, data["currency"].lower()):
            raise StripeApiError(
                "You cannot combine currencies on a single customer. This customer has an active subscription, "
                f"subscription schedule, discount, quote, or invoice item with currency {customer['currency']}."
            )


def _require(value: object, name: str) -> None:
    if not value:
        raise StripeApiError(f"Missing required param: {name}.", code="parameter_missing", param=name)


def _check_price(data: StripeJson, mode: str) -> None:
    if ("product" in data) == ("product_data" in data):
        raise StripeApiError("You must specify either `product` or `product_data` when using `price_data`.")
    if mode == "subscription" and "recurring" not in data:
        message = "You must provide at least one recurring price in `subscription` mode when using prices."
        raise StripeApiError(message, param="line_items")
    if mode == "payment" and "recurring" in data:
        message = "You specified `payment` mode but passed a recurring price."
        raise StripeApiError(message, param="line_items")
    check_amount(data)


def new_session(account: Account, params: dict[str, Any], lines: list[StripeJson]) -> StripeJson:
    """Return an open session; its payment intent is created with the first attempt to pay."""
    session_id = account.new_id(f"cs_{'live' if account.livemode else 'test'}", 58)
    total = sum(line["price"]["unit_amount"] * line["quantity"] for line in lines)
    default = "if_required" if params["mode"] == "payment" else "always"
    return account.store(
        {
            "id": session_id,
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
            "url": f"{account.hosted_url}/c/pay/{session_id}",
            "#intent": None,
            "#lines": lines,
            "#payment_intent_data": params.get("payment_intent_data") or {},
            "#subscription_data": params.get("subscription_data") or {},
        }
    )


def complete(account: Account, session: StripeJson, *, email: str | None, bank_debit: bool = False) -> None:
    """Pay a session by a valid card, or by a bank debit, which is paid or fails days later."""
    _require_open(session)
    pay = _subscribe if session["mode"] == "subscription" else _pay_once
    pay(account, session, email=email, bank_debit=bank_debit)
    session |= {"status": "complete", "url": None, "payment_status": "unpaid" if bank_debit else "paid"}
    session["customer_details"] = _customer_details(_email(account, session, email))
    account.emit_event("checkout.session.completed", session)


def _email(account: Account, session: StripeJson, typed: str | None) -> str | None:
    """Return the email of a session. That of an existing customer cannot be edited."""
    customer = account.objects[session["customer"]] if session["customer"] else {}
    return customer.get("email") or typed or session["customer_email"]


def decline(account: Account, session: StripeJson, *, email: str | None, decline_code: str) -> None:
    """Decline the customer's card; the session stays open."""
    _require_open(session)
    intent = _get_or_create_intent(account, session)
    card = payment_objects.new_payment_method(
        account, email=_email(account, session, email), customer=session["customer"]
    )
    charges.decline(account, intent, card, decline_code)


def complete_async_payment(account: Account, session: StripeJson, *, paid: bool) -> None:
    """Complete or fail the bank debit of a completed session."""
    intent = account.objects[session["#intent"]]
    if paid:
        charges.complete_debit(account, intent)
        session["payment_status"] = "paid"
    else:
        charges.fail_debit(account, intent)
    if session["mode"] == "subscription":
        subscription, invoice = account.objects[session["subscription"]], account.objects[session["invoice"]]
        if paid:
            billing.mark_paid(account, invoice)
        else:
            billing.mark_unpaid(account, subscription, invoice, will_retry=True)
    account.emit_event(f"checkout.session.async_payment_{'succeeded' if paid else 'failed'}", session)


def expire(account: Account, session: StripeJson) -> None:
    """Expire an open session."""
    if session["status"] != "open":
        message = 'Only Checkout Sessions with a status in ["open"] can be expired. '
        raise StripeApiError(
            f"{message}This Checkout Session has a status of `{session['status']}`.", executed=True
        )
    session |= {"status": "expired", "url": None}
    account.emit_event("checkout.session.expired", session)


def _require_open(session: StripeJson) -> None:
    if session["status"] != "open":
        raise StripeApiError(f"This Checkout Session is {session['status']}.")


def _pay_once(account: Account, session: StripeJson, *, email: str | None, bank_debit: bool) -> None:
    if session["customer_creation"] == "always":
        _get_or_create_customer(account, session, email)
    intent = _get_or_create_intent(account, session)
    session["payment_intent"] = intent["id"]
    _charge(account, session, intent, email=email, bank_debit=bank_debit)


def _subscribe(account: Account, session: StripeJson, *, email: str | None, bank_debit: bool) -> None:
    customer = _get_or_create_customer(account, session, email)
    customer["currency"] = session["currency"]
    amount_due = max(session["amount_total"] + customer["balance"], 0)
    if amount_due:
        intent = _get_or_create_intent(account, session)
        intent |= {
            "amount": amount_due,
            "customer": customer["id"],
            "description": "Subscription creation",
            "setup_future_usage": "off_session",
        }
        charge = _charge(account, session, intent, email=email, bank_debit=bank_debit)
        payment_method = account.objects[charge["payment_method"]]
    else:
        intent = None
        payment_method = payment_objects.new_payment_method(
            account, email=_email(account, session, email), customer=customer["id"]
        )
    subscription = billing_objects.new_subscription(
        account, customer, payment_method, session["#subscription_data"]
    )
    billing.add_items(account, subscription, [(line["price"], line["quantity"]) for line in session["#lines"]])
    invoice = billing.create_invoice(account, subscription, "subscription_create", intent)
    account.emit_event("customer.subscription.created", subscription)
    if intent is not None and not bank_debit:
        billing.mark_paid(account, invoice)
    session |= {"subscription": subscription["id"], "invoice": invoice["id"]}


def _get_or_create_intent(account: Account, session: StripeJson) -> StripeJson:
    if session["#intent"] is None:
        data = session["#payment_intent_data"]
        intent = charges.create_intent(
            account,
            session["amount_total"],
            session["currency"],
            customer=session["customer"],
            metadata=dict(data.get("metadata") or {}),
            description=data.get("description"),
            receipt_email=data.get("receipt_email"),
            statement_descriptor_suffix=data.get("statement_descriptor_suffix"),
        )
        session["#intent"] = intent["id"]
    return account.objects[session["#intent"]]


def _get_or_create_customer(account: Account, session: StripeJson, email: str | None) -> StripeJson:
    if session["customer"] is None:
        customer = billing_objects.new_customer(account, email or session["customer_email"])
        account.emit_event("customer.created", customer)
        session["customer"] = customer["id"]
    return account.objects[session["customer"]]


def _charge(
    account: Account, session: StripeJson, intent: StripeJson, *, email: str | None, bank_debit: bool
) -> StripeJson:
    intent["customer"] = session["customer"]
    payment_method = payment_objects.new_payment_method(
        account,
        email=_email(account, session, email),
        customer=session["customer"],
        kind="us_bank_account" if bank_debit else "card",
    )
    return (charges.start_debit if bank_debit else charges.charge)(account, intent, payment_method)


def _customer_details(email: str | None) -> StripeJson:
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
