"""API endpoints of recurring payments: customers, subscriptions, invoices, prices, the billing portal."""

import copy
from typing import Any

from flask import Blueprint
from stripe import params as sdk
from stripe.params import billing_portal as portal_sdk

from tests.stripe_double import billing, billing_objects, charges
from tests.stripe_double.account import DAY, Account, StripeJson
from tests.stripe_double.checkout import find_active_product
from tests.stripe_double.errors import StripeApiError, not_found
from tests.stripe_double.form_params import check_amount, check_metadata
from tests.stripe_double.pagination import page
from tests.stripe_double.routing import accepts, list_route, retrieve_route

routes = Blueprint("billing", __name__, url_prefix="/v1")

list_route(routes, "/customers", "customer", sdk.CustomerListParams, filters={"email": "email"})
retrieve_route(routes, "/subscriptions", "subscription", sdk.SubscriptionRetrieveParams)
retrieve_route(routes, "/invoices", "invoice", sdk.InvoiceRetrieveParams)
list_route(
    routes,
    "/invoices",
    "invoice",
    sdk.InvoiceListParams,
    filters={
        "customer": "customer",
        "status": "status",
        "subscription": "parent.subscription_details.subscription",
    },
)
retrieve_route(routes, "/invoice_payments", "invoice_payment", sdk.InvoicePaymentRetrieveParams)
list_route(
    routes,
    "/invoice_payments",
    "invoice_payment",
    sdk.InvoicePaymentListParams,
    filters={"invoice": "invoice", "status": "status", "payment": "payment"},
)
retrieve_route(routes, "/products", "product", sdk.ProductRetrieveParams)
retrieve_route(routes, "/prices", "price", sdk.PriceRetrieveParams)
list_route(routes, "/prices", "price", sdk.PriceListParams, filters={"product": "product"})
retrieve_route(routes, "/payment_methods", "payment_method", sdk.PaymentMethodRetrieveParams)


@routes.post("/customers")
@accepts(sdk.CustomerCreateParams)
def create_customer(account: Account, params: dict[str, Any]) -> StripeJson:
    customer = billing_objects.new_customer(account, params.get("email"), params.get("name"))
    customer["metadata"] = dict(params.get("metadata") or {})
    account.emit_event("customer.created", customer)
    return customer


@routes.get("/customers/<id>")
@accepts(sdk.CustomerRetrieveParams)
def retrieve_customer(account: Account, _params: dict[str, Any], customer_id: str) -> StripeJson:
    """Return a customer; of a deleted one only that it is deleted."""
    if customer_id in account.deleted_customers:
        return _deleted_customer(customer_id)
    return account.find("customer", customer_id)


@routes.delete("/customers/<id>")
@accepts(sdk.CustomerDeleteParams)
def delete_customer(account: Account, _params: dict[str, Any], customer_id: str) -> StripeJson:
    """Delete a customer for good, and cancel their subscriptions immediately."""
    customer = account.find("customer", customer_id)
    for subscription in account.all("subscription"):
        if subscription["customer"] == customer_id and subscription["status"] != "canceled":
            billing.cancel(account, subscription, "cancellation_requested")
    account.delete(customer)
    account.deleted_customers.add(customer_id)
    account.emit_event("customer.deleted", customer)
    return _deleted_customer(customer_id)


def _deleted_customer(customer_id: str) -> StripeJson:
    return {"id": customer_id, "object": "customer", "deleted": True}


@routes.post("/customers/<id>")
@accepts(sdk.CustomerUpdateParams)
def update_customer(account: Account, params: dict[str, Any], customer_id: str) -> StripeJson:
    """Change what describes a customer, the metadata and the default card; an empty text unsets a field."""
    customer = account.find("customer", customer_id)
    before = copy.deepcopy(customer)
    if "metadata" in params:
        customer["metadata"] = _merge_metadata(customer["metadata"], params["metadata"])
    for name in ("address", "description", "email", "name", "phone", "shipping"):
        if name in params:
            customer[name] = params[name] or None
    settings = params.get("invoice_settings", {})
    if "default_payment_method" in settings:
        card = _payment_method_id(account, settings["default_payment_method"])
        customer["invoice_settings"]["default_payment_method"] = card
    account.emit_event("customer.updated", customer, before)
    return customer


@routes.get("/subscriptions")
@accepts(sdk.SubscriptionListParams)
def list_subscriptions(account: Account, params: dict[str, Any]) -> StripeJson:
    """List subscriptions; canceled ones only if `status` includes them."""
    status = params.get("status", "not canceled")
    found = [
        subscription
        for subscription in account.all("subscription")
        if status in ("all", subscription["status"])
        or (status == "not canceled" and subscription["status"] != "canceled")
    ]
    if "customer" in params:
        found = [subscription for subscription in found if subscription["customer"] == params["customer"]]
    return page(found, params, "/v1/subscriptions")


@routes.post("/subscriptions/<id>")
@accepts(sdk.SubscriptionUpdateParams)
def update_subscription(account: Account, params: dict[str, Any], subscription_id: str) -> StripeJson:
    """Change the items, the metadata, the card, the pause or the end; only with `proration_behavior=none`."""
    subscription = account.find("subscription", subscription_id)
    if subscription["status"] == "canceled" and set(params) - {"metadata", "cancellation_details"}:
        raise StripeApiError("A canceled subscription can only update its cancellation_details and metadata.")
    before = copy.deepcopy(subscription)
    trial_end = params.get("trial_end")
    if trial_end is not None and (trial_end == "now" or trial_end <= account.now()):
        raise StripeApiError("Invalid timestamp: must be in the future", param="trial_end")
    if trial_end is not None and trial_end > account.now() + 2 * 365 * DAY:
        raise StripeApiError("Invalid timestamp: can be no more than two years in the future", param="trial_end")
    if params.get("items") and params.get("proration_behavior") != "none":
        message = "The double has no proration: pass proration_behavior=none."
        raise StripeApiError(message, param="proration_behavior")
    for item in params.get("items", []):
        _change_item(account, subscription, item)
    is_other_interval = _intervals(subscription) != _intervals(before)
    if trial_end is not None:
        billing.start_trial(account, subscription, trial_end)
    elif is_other_interval and subscription["status"] == "active":
        billing.restart_period(account, subscription)
    if "metadata" in params:
        subscription["metadata"] = _merge_metadata(subscription["metadata"], params["metadata"])
    subscription["cancellation_details"] |= params.get("cancellation_details", {})
    if "cancel_at_period_end" in params:
        _set_cancel_at_period_end(account, subscription, canceled=params["cancel_at_period_end"])
    if "default_payment_method" in params:
        card = _payment_method_id(account, params["default_payment_method"])
        subscription["default_payment_method"] = card
    if "pause_collection" in params:
        _set_pause(account, subscription, params["pause_collection"])
    account.emit_event("customer.subscription.updated", subscription, before)
    if trial_end is not None:
        billing.create_trial_invoice(account, subscription)
    elif is_other_interval and subscription["status"] == "active":
        invoice = billing.create_invoice(account, subscription, "subscription_update")
        if invoice["status"] != "paid":
            card = account.objects[_default_card(account, subscription)]
            charges.charge(account, billing.intent_of(account, invoice), card)
            billing.mark_paid(account, invoice)
    return subscription


def _intervals(subscription: StripeJson) -> list[tuple[str, int]]:
    recurring = [item["price"]["recurring"] for item in subscription["items"]["data"]]
    return [(each["interval"], each["interval_count"]) for each in recurring]


@routes.delete("/subscriptions/<id>")
@accepts(sdk.SubscriptionCancelParams)
def cancel_subscription(account: Account, params: dict[str, Any], subscription_id: str) -> StripeJson:
    """Cancel a subscription now; one that is canceled is not found."""
    subscription = account.find("subscription", subscription_id)
    if subscription["status"] == "canceled":
        raise not_found("subscription", subscription_id)
    subscription["cancellation_details"] |= params.get("cancellation_details", {})
    billing.cancel(account, subscription, "cancellation_requested")
    return subscription


@routes.post("/invoices/<id>/pay")
@accepts(sdk.InvoicePayParams)
def pay_invoice(account: Account, params: dict[str, Any], invoice_id: str) -> StripeJson:
    """Charge an open invoice with the default card of its subscription, else of its customer."""
    invoice = account.find("invoice", invoice_id)
    if invoice["status"] != "open":
        message = "Invoice is already paid" if invoice["status"] == "paid" else "This invoice is not open."
        raise StripeApiError(message, executed=True)
    if params.get("paid_out_of_band"):
        billing.mark_paid_outside(account, invoice)
        return invoice
    subscription = account.objects[invoice["parent"]["subscription_details"]["subscription"]]
    card = account.objects[params.get("payment_method") or _default_card(account, subscription)]
    intent = billing.intent_of(account, invoice)
    decline_code = card.get("#decline_code")
    if decline_code:
        charges.decline(account, intent, card, decline_code)
        billing.mark_unpaid(account, subscription, invoice, will_retry=True)
        raise StripeApiError(
            charges.DECLINES[decline_code], status=402, kind="card_error", code="card_declined", executed=True
        )
    charges.charge(account, intent, card)
    billing.mark_paid(account, invoice)
    billing.update(account, subscription, status="active")
    return invoice


@routes.post("/products")
@accepts(sdk.ProductCreateParams)
def create_product(account: Account, params: dict[str, Any]) -> StripeJson:
    """Create a product, with an id of the caller's choice or a new one."""
    if params.get("id") in account.objects:
        message = f"Product already exists with ID: {params['id']}"
        raise StripeApiError(message, code="resource_already_exists", param="id", executed=True)
    product = billing_objects.new_product(account, **params)
    account.emit_event("product.created", product)
    return product


@routes.post("/products/<id>")
@accepts(sdk.ProductUpdateParams)
def update_product(account: Account, params: dict[str, Any], product_id: str) -> StripeJson:
    """Change the name or the metadata of a product, or archive it with `active=false`."""
    product = account.find("product", product_id)
    before = copy.deepcopy(product)
    if "metadata" in params:
        product["metadata"] = _merge_metadata(product["metadata"], params.pop("metadata"))
    product |= params | {"updated": account.now()}
    account.emit_event("product.updated", product, before)
    return product


@routes.delete("/products/<id>")
@accepts(sdk.ProductDeleteParams)
def delete_product(account: Account, _params: dict[str, Any], product_id: str) -> StripeJson:
    """Delete a product without prices."""
    product = account.find("product", product_id)
    if any(price["product"] == product_id for price in account.all("price")):
        message = "This product cannot be deleted because it has one or more user-created prices."
        raise StripeApiError(message, executed=True)
    account.delete(product)
    account.emit_event("product.deleted", product)
    return {"id": product_id, "object": "product", "deleted": True}


@routes.post("/prices")
@accepts(sdk.PriceCreateParams)
def create_price(account: Account, params: dict[str, Any]) -> StripeJson:
    """Create a price of an existing or a new product."""
    product_id = params.get("product")
    if not product_id:
        product_id = billing_objects.new_product(account, params["product_data"]["name"])["id"]
    return billing_objects.new_price(account, params, account.find("product", product_id)["id"])


@routes.post("/billing_portal/sessions")
@accepts(portal_sdk.SessionCreateParams)
def create_portal_session(account: Account, params: dict[str, Any]) -> StripeJson:
    customer = account.find("customer", params.get("customer", ""))
    portal_id = account.new_id("bps_1")
    return account.store(
        {
            "id": portal_id,
            "object": "billing_portal.session",
            "configuration": "bpc_1MainstayDouble",
            "created": account.now(),
            "customer": customer["id"],
            "flow": params.get("flow_data"),
            "livemode": account.livemode,
            "locale": params.get("locale"),
            "on_behalf_of": None,
            "return_url": params.get("return_url"),
            "url": f"{account.hosted_url}/p/session/{portal_id}",
        }
    )


def _change_item(account: Account, subscription: StripeJson, change: StripeJson) -> None:
    """Change the item of this id; without an id Stripe adds an item, and the customer pays both."""
    price = None
    if "price_data" in change:
        data = change["price_data"]
        check_amount(data)
        product = find_active_product(account, data["product"], "items[0][price_data][product]")
        price = billing_objects.new_price(account, data, product["id"], active=False)
    elif "price" in change:
        price = account.find("price", change["price"])
    if price is not None and price["currency"] != subscription["currency"]:
        raise StripeApiError(
            f"The price specified only supports `{price['currency']}`. This doesn't match the expected "
            f"currency: `{subscription['currency']}`.",
            param="items",
        )
    if "id" not in change:
        if price is None:
            raise StripeApiError("Missing required param: items[0][price].", code="parameter_missing")
        billing.add_items(account, subscription, [(price, change.get("quantity", 1))])
        return
    found = [item for item in subscription["items"]["data"] if item["id"] == change["id"]]
    if not found:
        raise not_found("subscription_item", change["id"])
    if price is not None:
        found[0]["price"] = dict(price)
    found[0]["quantity"] = change.get("quantity", found[0]["quantity"])


def _set_cancel_at_period_end(account: Account, subscription: StripeJson, *, canceled: bool) -> None:
    subscription["cancel_at_period_end"] = canceled
    subscription["canceled_at"] = account.now() if canceled else None
    subscription["cancel_at"] = subscription["items"]["data"][0]["current_period_end"] if canceled else None
    subscription["cancellation_details"]["reason"] = "cancellation_requested" if canceled else None


def _set_pause(account: Account, subscription: StripeJson, pause: StripeJson | str) -> None:
    """Pause the collection, or end that with an empty string."""
    if isinstance(pause, dict):
        resumes_at = pause.get("resumes_at")
        if resumes_at is not None and resumes_at <= account.now():
            raise StripeApiError(
                "The resumes_at timestamp must be in the future.", param="pause_collection[resumes_at]"
            )
        subscription["pause_collection"] = {"behavior": pause["behavior"], "resumes_at": resumes_at}
    else:
        subscription["pause_collection"] = None


def _default_card(account: Account, subscription: StripeJson) -> str:
    """Return the id of the subscription's own payment method, or of its customer's default."""
    customer = account.find("customer", subscription["customer"])
    default = customer["invoice_settings"]["default_payment_method"]
    return str(subscription["default_payment_method"] or default)


def _merge_metadata(stored: dict[str, str], given: Any) -> dict[str, str]:
    if given == "":
        return {}
    check_metadata(given)
    return {name: value for name, value in (stored | given).items() if value != ""}


def _payment_method_id(account: Account, given: str) -> str | None:
    """Return the id of an existing payment method; an empty string unsets it."""
    return None if given == "" else str(account.find("payment_method", given)["id"])
