"""API endpoints of one-time payments: Checkout Sessions, intents, charges, refunds, disputes, the balance."""

from typing import Any

from flask import Blueprint
from stripe import params as sdk
from stripe.params import checkout as checkout_sdk

from tests.stripe_double import checkout, refunds
from tests.stripe_double.account import Account, StripeJson
from tests.stripe_double.errors import StripeApiError
from tests.stripe_double.form_params import check_metadata
from tests.stripe_double.routing import accepts, list_route, retrieve_route

routes = Blueprint("payments", __name__, url_prefix="/v1")

for url, kind, retrieve_params, list_params, filters in (
    (
        "/checkout/sessions",
        "checkout.session",
        checkout_sdk.SessionRetrieveParams,
        checkout_sdk.SessionListParams,
        ("customer", "payment_intent", "subscription", "status"),
    ),
    (
        "/payment_intents",
        "payment_intent",
        sdk.PaymentIntentRetrieveParams,
        sdk.PaymentIntentListParams,
        ("customer",),
    ),
    ("/charges", "charge", sdk.ChargeRetrieveParams, sdk.ChargeListParams, ("customer", "payment_intent")),
    ("/refunds", "refund", sdk.RefundRetrieveParams, sdk.RefundListParams, ("charge", "payment_intent")),
    ("/disputes", "dispute", sdk.DisputeRetrieveParams, sdk.DisputeListParams, ("charge", "payment_intent")),
    (
        "/balance_transactions",
        "balance_transaction",
        sdk.BalanceTransactionRetrieveParams,
        sdk.BalanceTransactionListParams,
        ("source", "type"),
    ),
):
    retrieve_route(routes, url, kind, retrieve_params)
    list_route(routes, url, kind, list_params, filters={name: name for name in filters})


@routes.post("/checkout/sessions")
@accepts(checkout_sdk.SessionCreateParams)
def create_session(account: Account, params: dict[str, Any]) -> StripeJson:
    return checkout.open_session(account, params)


@routes.post("/checkout/sessions/<id>/expire")
@accepts(checkout_sdk.SessionExpireParams)
def expire_session(account: Account, _params: dict[str, Any], session_id: str) -> StripeJson:
    session = account.find("checkout.session", session_id)
    checkout.expire(account, session)
    return session


@routes.post("/refunds")
@accepts(sdk.RefundCreateParams)
def create_refund(account: Account, params: dict[str, Any]) -> StripeJson:
    """Refund a charge, or the charge of an intent."""
    metadata = params.get("metadata") or {}
    check_metadata(metadata)
    if "charge" in params:
        charge = account.find("charge", params["charge"])
    elif "payment_intent" in params:
        intent = account.find("payment_intent", params["payment_intent"])
        if intent["status"] != "succeeded":
            message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            raise StripeApiError(message, param="payment_intent")
        charge = account.objects[intent["latest_charge"]]
    else:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise StripeApiError(message)
    return refunds.refund(
        account, charge, params.get("amount"), reason=params.get("reason"), metadata=dict(metadata)
    )


@routes.post("/disputes/<id>")
@accepts(sdk.DisputeUpdateParams)
def update_dispute(account: Account, params: dict[str, Any], dispute_id: str) -> StripeJson:
    """Respond to a dispute with evidence."""
    dispute = account.find("dispute", dispute_id)
    dispute["evidence"] |= params.get("evidence", {})
    dispute["metadata"] |= params.get("metadata") or {}
    dispute["evidence_details"]["has_evidence"] = bool(dispute["evidence"])
    if params.get("submit", True):
        dispute["status"] = "under_review"
    account.emit_event("charge.dispute.updated", dispute)
    return dispute
