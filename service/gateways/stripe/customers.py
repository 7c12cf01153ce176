"""Customers at Stripe: their email address, to which Stripe sends its own receipts and invoices."""

import uuid
from typing import Final

from service.gateways.stripe.client import StripeApiClient, call_idempotent

UPDATE_KEY_PREFIX: Final = "customer-email/"


def update_customer_email(api: StripeApiClient, customer: str, email: str, *, update_id: uuid.UUID) -> None:
    """Change the email address of a Customer.

    The event that Stripe sends about it names the idempotency key, by which we recognise our own change.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request, for example because the Customer was deleted.
    """
    call_idempotent(
        api,
        "update_customer_email",
        f"{UPDATE_KEY_PREFIX}{update_id}",
        lambda v1, options: v1.customers.update(customer, {"email": email}, options),
        retries=0,
    )
