"""Endpoints about money that moves once: Checkout Sessions, intents, charges, refunds, disputes, the balance."""

from typing import Any

from stripe import params as asks
from stripe.params import checkout as checkout_asks

from tests.doubles import checkout, returning
from tests.doubles.account import Account, Thing
from tests.doubles.refusal import Refusal
from tests.doubles.routes import Route, lists, retrieves
from tests.doubles.session_shape import check_metadata

SESSIONS = "/v1/checkout/sessions"


def create_session(account: Account, params: dict[str, Any]) -> Thing:
    """Open a Checkout Session."""
    return checkout.open_session(account, params)


def expire_session(account: Account, _params: dict[str, Any], id: str) -> Thing:  # noqa: A002 - the path's own word
    """Close a Checkout Session that nobody paid."""
    asked = account.find("checkout.session", id)
    checkout.expire(account, asked)
    return asked


def create_refund(account: Account, params: dict[str, Any]) -> Thing:
    """Refund a charge, or the charge of an intent."""
    check_metadata(params.get("metadata") or {})
    if "charge" in params:
        charge = account.find("charge", params["charge"])
    elif "payment_intent" in params:
        intended = account.find("payment_intent", params["payment_intent"])
        if intended["status"] != "succeeded":
            message = f"This PaymentIntent ({intended['id']}) does not have a successful charge to refund."
            raise Refusal(message, param="payment_intent")
        charge = account.things[intended["latest_charge"]]
    else:
        raise Refusal("One of the following params should be provided for this request: payment_intent or charge.")
    return returning.refund(
        account,
        charge,
        params.get("amount"),
        reason=params.get("reason"),
        metadata=dict(params.get("metadata") or {}),
    )


def update_dispute(account: Account, params: dict[str, Any], id: str) -> Thing:  # noqa: A002 - the path's own word
    """Answer a dispute with evidence."""
    asked = account.find("dispute", id)
    asked["evidence"] |= params.get("evidence", {})
    asked["metadata"] |= params.get("metadata") or {}
    asked["evidence_details"]["has_evidence"] = bool(asked["evidence"])
    if params.get("submit", True):
        asked["status"] = "under_review"
    account.tell("charge.dispute.updated", asked)
    return asked


ROUTES = [
    Route(f"POST {SESSIONS}", checkout_asks.SessionCreateParams, create_session),
    Route(f"POST {SESSIONS}/{{id}}/expire", checkout_asks.SessionExpireParams, expire_session),
    retrieves(SESSIONS, "checkout.session", checkout_asks.SessionRetrieveParams),
    lists(
        SESSIONS,
        "checkout.session",
        checkout_asks.SessionListParams,
        by={name: name for name in ("customer", "payment_intent", "subscription", "status")},
    ),
    retrieves("/v1/payment_intents", "payment_intent", asks.PaymentIntentRetrieveParams),
    lists("/v1/payment_intents", "payment_intent", asks.PaymentIntentListParams, by={"customer": "customer"}),
    retrieves("/v1/charges", "charge", asks.ChargeRetrieveParams),
    lists(
        "/v1/charges",
        "charge",
        asks.ChargeListParams,
        by={"customer": "customer", "payment_intent": "payment_intent"},
    ),
    Route("POST /v1/refunds", asks.RefundCreateParams, create_refund),
    retrieves("/v1/refunds", "refund", asks.RefundRetrieveParams),
    lists(
        "/v1/refunds",
        "refund",
        asks.RefundListParams,
        by={"charge": "charge", "payment_intent": "payment_intent"},
    ),
    retrieves("/v1/disputes", "dispute", asks.DisputeRetrieveParams),
    lists(
        "/v1/disputes",
        "dispute",
        asks.DisputeListParams,
        by={"charge": "charge", "payment_intent": "payment_intent"},
    ),
    Route("POST /v1/disputes/{id}", asks.DisputeUpdateParams, update_dispute),
    retrieves("/v1/balance_transactions", "balance_transaction", asks.BalanceTransactionRetrieveParams),
    lists(
        "/v1/balance_transactions",
        "balance_transaction",
        asks.BalanceTransactionListParams,
        by={"source": "source", "type": "type"},
    ),
]
