"""The public pledge resource."""

import uuid
from typing import Any

from schemas.pledge import PledgeCheckoutResponse, PledgeRequest, PledgeResponse
from service.api.blueprint import ResourceBlueprint, require_idempotency_key
from service.api.cors import enable_cors, load_embeddable_campaign, require_allowed_origin
from service.db.models.pledge import Pledge
from service.domain.pledges import pledges as domain_pledges
from service.domain.pledges.checkout import PledgeCheckout, create_pledge_checkout
from service.domain.pledges.pledges import CreatePledge, total_charge
from service.web import check_campaign_rate_limit, check_rate_limit, current_client, current_container, read_only

pledges = ResourceBlueprint("pledges", __name__, url_prefix="/v1/pledges", description="Pledges and their status.")
enable_cors(pledges)

IDEMPOTENCY_KEY_DOC = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": True,
    "schema": {"type": "string", "minLength": 8, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": "A new random value for each pledge; the same value to repeat the same request.",
}


@pledges.route("", methods=["POST"])
@pledges.doc(parameters=[IDEMPOTENCY_KEY_DOC])
@pledges.arguments(PledgeRequest)
@pledges.response(201, PledgeCheckoutResponse)
def create_pledge(payload: dict[str, Any]) -> tuple[PledgeCheckout, int, dict[str, str]]:
    """Create a pledge and start its checkout."""
    idempotency_key = require_idempotency_key()
    check_rate_limit("pledge")
    container, campaign = current_container(), load_embeddable_campaign(payload["campaign"])
    check_campaign_rate_limit("pledge", campaign)
    checkout = create_pledge_checkout(
        container.database.transaction,
        container.gateway,
        campaign,
        CreatePledge(**payload),
        idempotency_key=idempotency_key,
        clock=container.clock,
        urls=container.urls,
        client=current_client(),
    )
    return checkout, 201, {"Idempotent-Replayed": "true"} if checkout.replayed else {}


@pledges.route("/<uuid:pledge_id>")
@pledges.response(200, PledgeResponse)
def get_pledge(pledge_id: uuid.UUID) -> dict[str, Any]:
    """Show a pledge's status and amounts, without personal data."""
    with read_only() as session:
        pledge = domain_pledges.get_pledge(session, pledge_id)
        require_allowed_origin(pledge.campaign)
        return serialize_pledge(pledge)


def serialize_pledge(pledge: Pledge) -> dict[str, Any]:
    """Return what `PledgeResponse` shows of a pledge."""
    return {
        "id": pledge.id,
        "status": pledge.status,
        "frequency": pledge.frequency,
        "amount": pledge.amount_minor,
        "currency": pledge.currency,
        "fees": pledge.fees_minor,
        "total": total_charge(pledge).amount_minor,
        "created_at": pledge.created_at,
    }
