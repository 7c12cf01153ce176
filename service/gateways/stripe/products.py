"""The Stripe product of a campaign, which the prices of all its pledges belong to.

Its id is derived from the campaign's, so that a repeated creation finds the first one. See
https://docs.stripe.com/api/products/create: "You can optionally override this ID, but the ID must be unique".
"""

import uuid
from typing import Any, Final

from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.errors import StripeRejected

MAX_NAME_LENGTH: Final = 250
_ID_PREFIX: Final = "mainstay_"
_ALREADY_EXISTS: Final = "resource_already_exists"


def product_id(campaign_id: uuid.UUID) -> str:
    """Return Stripe's id of a campaign's product."""
    return f"{_ID_PREFIX}{campaign_id.hex}"


def campaign_id_of(product: str | None) -> uuid.UUID | None:
    """Return the id of the campaign whose product has this id; None for a product of anything else."""
    if product is None or not product.startswith(_ID_PREFIX):
        return None
    try:
        return uuid.UUID(hex=product.removeprefix(_ID_PREFIX))
    except ValueError:
        return None


def product_name(name: str) -> str:
    """Return a campaign's name as far as a product's name may be long."""
    return name[:MAX_NAME_LENGTH]


def save_product(api: StripeApiClient, campaign_id: uuid.UUID, name: str) -> bool:
    """Create the product of a campaign, rename it, or reactivate it; return whether anything has changed.

    The calls have no idempotency key. A key would replay the creation of a product that was deleted since.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request.
    """
    product, shown = product_id(campaign_id), product_name(name)
    existing = _retrieve_product(api, product)
    if existing is None:
        try:
            api.call("create_product", lambda v1: v1.products.create({"id": product, "name": shown}))
        except StripeRejected as error:
            # A concurrent request has created it.
            if error.code != _ALREADY_EXISTS:
                raise
        return True
    changes: Any = {}
    if existing.get("name") != shown:
        changes["name"] = shown
    if not existing.get("active"):
        changes["active"] = True
    if changes:
        api.call("update_product", lambda v1: v1.products.update(product, changes))
    return bool(changes)


def reactivate_product(api: StripeApiClient, product: str) -> bool:
    """Reactivate an archived product, whose subscriptions go on; return whether it was archived.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request.
    """
    existing = _retrieve_product(api, product)
    if existing is None or existing.get("active"):
        return False
    api.call("update_product", lambda v1: v1.products.update(product, {"active": True}))
    return True


def _retrieve_product(api: StripeApiClient, product: str) -> dict[str, Any] | None:
    existing = api.retrieve("retrieve_product", lambda v1: v1.products.retrieve(product))
    return None if existing is None or existing.get("deleted") else existing
