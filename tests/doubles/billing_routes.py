"""Endpoints about gifts that repeat: customers, subscriptions, invoices, prices, the billing portal."""

import copy
from typing import Any

from stripe import params as asks
from stripe.params import billing_portal as portal_asks

from tests.doubles import billing, billing_shapes
from tests.doubles.account import Account, Thing
from tests.doubles.listing import page
from tests.doubles.refusal import Refusal, missing
from tests.doubles.routes import Route, lists, retrieves
from tests.doubles.session_shape import check_amount, check_metadata


def update_subscription(account: Account, params: dict[str, Any], id: str) -> Thing:  # noqa: A002 - the path's own word
    """Change what a subscription costs, whether it goes on, and its metadata; only `proration_behavior=none`."""
    of = account.find("subscription", id)
    if of["status"] == "canceled" and set(params) - {"metadata", "cancellation_details"}:
        raise Refusal("A canceled subscription can only update its cancellation_details and metadata.")
    before = copy.deepcopy(of)
    if params.get("items") and params.get("proration_behavior") != "none":
        raise Refusal("The double prorates nothing: pass proration_behavior=none.", param="proration_behavior")
    for wanted in params.get("items", []):
        _change_item(account, of, wanted)
    if "metadata" in params:
        of["metadata"] = _merged(of["metadata"], params["metadata"])
    of["cancellation_details"] |= params.get("cancellation_details", {})
    if "cancel_at_period_end" in params:
        _stop_at_period_end(account, of, wanted=params["cancel_at_period_end"])
    if "default_payment_method" in params:
        of["default_payment_method"] = _method(account, params["default_payment_method"])
    account.tell("customer.subscription.updated", of, before)
    return of


def _change_item(account: Account, of: Thing, wanted: Thing) -> None:
    """Change an item by its id; without an id Stripe adds one beside it, and the reader pays both."""
    cost = None
    if "price_data" in wanted:
        data = wanted["price_data"]
        check_amount(data["currency"].lower(), int(data.get("unit_amount", data.get("unit_amount_decimal", 0))))
        cost = billing_shapes.price(account, data, account.find("product", data["product"])["id"], active=False)
    elif "price" in wanted:
        cost = account.find("price", wanted["price"])
    if cost is not None and cost["currency"] != of["currency"]:
        raise Refusal(
            f"The price specified only supports `{cost['currency']}`. This doesn't match the expected "
            f"currency: `{of['currency']}`.",
            param="items",
        )
    if "id" not in wanted:
        if cost is None:
            raise Refusal("Missing required param: items[0][price].", code="parameter_missing")
        billing.add_items(account, of, [(cost, wanted.get("quantity", 1))])
        return
    found = [bought for bought in of["items"]["data"] if bought["id"] == wanted["id"]]
    if not found:
        raise missing("subscription_item", wanted["id"])
    if cost is not None:
        found[0]["price"] = dict(cost)
    found[0]["quantity"] = wanted.get("quantity", found[0]["quantity"])


def _stop_at_period_end(account: Account, of: Thing, *, wanted: bool) -> None:
    of["cancel_at_period_end"] = wanted
    of["canceled_at"] = account.now() if wanted else None
    of["cancel_at"] = of["items"]["data"][0]["current_period_end"] if wanted else None
    of["cancellation_details"]["reason"] = "cancellation_requested" if wanted else None


def _merged(kept: dict[str, str], given: Any) -> dict[str, str]:
    if given == "":
        return {}
    check_metadata(given)
    return {name: value for name, value in (kept | given).items() if value != ""}


def cancel_subscription(account: Account, params: dict[str, Any], id: str) -> Thing:  # noqa: A002 - the path's own word
    """End a subscription now; one that has ended is not found any more."""
    of = account.find("subscription", id)
    if of["status"] == "canceled":
        raise missing("subscription", id)
    of["cancellation_details"] |= params.get("cancellation_details", {})
    billing.end(account, of, "cancellation_requested")
    return of


def list_subscriptions(account: Account, params: dict[str, Any]) -> Thing:
    """List subscriptions; those that have ended only when a status asks for them."""
    wanted = params.get("status", "live")
    found = [
        of
        for of in account.all("subscription")
        if wanted in ("all", of["status"]) or (wanted == "live" and of["status"] != "canceled")
    ]
    if "customer" in params:
        found = [of for of in found if of["customer"] == params["customer"]]
    return page(account, found, params, "/v1/subscriptions")


def create_price(account: Account, params: dict[str, Any]) -> Thing:
    """Make a price of a product that is there, or that is made with it."""
    of = params.get("product") or billing_shapes.product(account, params["product_data"]["name"])["id"]
    return billing_shapes.price(account, params, account.find("product", of)["id"])


def create_product(account: Account, params: dict[str, Any]) -> Thing:
    """Make a product."""
    return billing_shapes.product(account, **params)


def create_customer(account: Account, params: dict[str, Any]) -> Thing:
    """Make a customer."""
    made = billing_shapes.customer(account, params.get("email"), params.get("name"))
    made["metadata"] = dict(params.get("metadata") or {})
    account.tell("customer.created", made)
    return made


def update_customer(account: Account, params: dict[str, Any], id: str) -> Thing:  # noqa: A002 - the path's own word
    """Change a customer's metadata, and the card that whatever has none of its own is charged to."""
    who = account.find("customer", id)
    before = copy.deepcopy(who)
    if "metadata" in params:
        who["metadata"] = _merged(who["metadata"], params["metadata"])
    settings = params.get("invoice_settings", {})
    if "default_payment_method" in settings:
        who["invoice_settings"]["default_payment_method"] = _method(account, settings["default_payment_method"])
    account.tell("customer.updated", who, before)
    return who


def _method(account: Account, name: str) -> str | None:
    """Return the name of a payment method that is there; an empty word takes away what was set."""
    return None if name == "" else str(account.find("payment_method", name)["id"])


def create_portal_session(account: Account, params: dict[str, Any]) -> Thing:
    """Open the billing portal for a customer, or one task of it (`flow_data`)."""
    who = account.find("customer", params.get("customer", ""))
    made = account.new_id("bps_1")
    flow = params.get("flow_data")
    return account.keep(
        {
            "id": made,
            "object": "billing_portal.session",
            "configuration": "bpc_1MainstayDouble",
            "created": account.now(),
            "customer": who["id"],
            "flow": flow,
            "livemode": account.livemode,
            "locale": params.get("locale"),
            "on_behalf_of": None,
            "return_url": params.get("return_url"),
            "url": f"{account.base}/p/session/{made}",
        }
    )


ROUTES = [
    retrieves("/v1/customers", "customer", asks.CustomerRetrieveParams),
    lists("/v1/customers", "customer", asks.CustomerListParams, by={"email": "email"}),
    Route("POST /v1/customers", asks.CustomerCreateParams, create_customer),
    Route("POST /v1/customers/{id}", asks.CustomerUpdateParams, update_customer),
    retrieves("/v1/subscriptions", "subscription", asks.SubscriptionRetrieveParams),
    Route("GET /v1/subscriptions", asks.SubscriptionListParams, list_subscriptions),
    Route("POST /v1/subscriptions/{id}", asks.SubscriptionUpdateParams, update_subscription),
    Route("DELETE /v1/subscriptions/{id}", asks.SubscriptionCancelParams, cancel_subscription),
    retrieves("/v1/invoices", "invoice", asks.InvoiceRetrieveParams),
    lists(
        "/v1/invoices",
        "invoice",
        asks.InvoiceListParams,
        by={
            "customer": "customer",
            "status": "status",
            "subscription": "parent.subscription_details.subscription",
        },
    ),
    retrieves("/v1/invoice_payments", "invoice_payment", asks.InvoicePaymentRetrieveParams),
    lists(
        "/v1/invoice_payments",
        "invoice_payment",
        asks.InvoicePaymentListParams,
        by={"invoice": "invoice", "status": "status", "payment": "payment"},
    ),
    retrieves("/v1/products", "product", asks.ProductRetrieveParams),
    Route("POST /v1/products", asks.ProductCreateParams, create_product),
    retrieves("/v1/prices", "price", asks.PriceRetrieveParams),
    lists("/v1/prices", "price", asks.PriceListParams, by={"product": "product"}),
    Route("POST /v1/prices", asks.PriceCreateParams, create_price),
    retrieves("/v1/payment_methods", "payment_method", asks.PaymentMethodRetrieveParams),
    Route("POST /v1/billing_portal/sessions", portal_asks.SessionCreateParams, create_portal_session),
]
