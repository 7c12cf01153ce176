"""Erase a customer of Stripe: remove what describes a person, and delete the customer.

See https://docs.stripe.com/api/customers/update and https://docs.stripe.com/api/customers/delete. What Stripe
stores in its payments stays there.
"""

from typing import Any, Final

from service.domain.ports import GatewayRejected
from service.gateways.stripe.client import NO_RETRIES, StripeApiClient

OPEN_INTENT_STATUSES: Final = frozenset({"processing", "requires_action", "requires_capture"})
# An empty string unsets a field.
REDACTED: Final[dict[str, Any]] = {
    "address": "",
    "description": "",
    "email": "",
    "name": "",
    "phone": "",
    "shipping": "",
}


def erase_customer(api: StripeApiClient, customer: str) -> bool:
    """Redact a customer, and delete it unless a payment or a subscription is open; return whether it is deleted.

    Deleting a customer ends its subscriptions, so one that the caller does not know keeps the customer.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request.
    """
    if _is_deleted(api, customer):
        return True
    try:
        api.call("redact_customer", lambda v1: v1.customers.update(customer, REDACTED, NO_RETRIES))  # type: ignore[arg-type]
        if _has_open_payment(api, customer):
            return False
        api.call("delete_customer", lambda v1: v1.customers.delete(customer, options=NO_RETRIES))
    except GatewayRejected:
        # Another process, or staff, may have deleted it at the same moment.
        if not _is_deleted(api, customer):
            raise
    return True


def _is_deleted(api: StripeApiClient, customer: str) -> bool:
    found = api.retrieve("retrieve_customer", lambda v1: v1.customers.retrieve(customer, options=NO_RETRIES))
    return found is None or bool(found.get("deleted"))


def _has_open_payment(api: StripeApiClient, customer: str) -> bool:
    subscriptions = api.call(
        "list_subscriptions", lambda v1: v1.subscriptions.list({"customer": customer, "limit": 1}, NO_RETRIES)
    )
    if subscriptions.data:
        return True
    intents = api.call(
        "list_payment_intents",
        lambda v1: v1.payment_intents.list({"customer": customer, "limit": 100}, NO_RETRIES),
    )
    return any(intent.status in OPEN_INTENT_STATUSES for intent in intents.data)
