"""What Stripe tells us: kept safely and answered at once; a job applies it."""

from flask import request

from schemas.gateway_event import WebhookResponse
from service.api.blueprint import ResourceBlueprint
from service.api.problems import Refusal
from service.domain.events.inbox import WEBHOOK, store_event
from service.domain.ports import InvalidSignature
from service.web import current_container, transaction

stripe_webhook = ResourceBlueprint(
    "stripe events", __name__, url_prefix="/v1/webhooks/stripe", description="What Stripe tells us."
)

SIGNATURE = {"in": "header", "name": "Stripe-Signature", "required": True, "schema": {"type": "string"}}
ITS_BODY = {
    "required": True,
    "description": "An event, as Stripe documents it.",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


@stripe_webhook.route("", methods=["POST"])
@stripe_webhook.doc(parameters=[SIGNATURE], requestBody=ITS_BODY)
@stripe_webhook.response(200, WebhookResponse)
def take_event() -> dict[str, bool]:
    """Store an event that Stripe signed, once, however often it comes."""
    container = current_container()
    source, now = container.event_source, container.clock()
    if source is None:
        raise Refusal(400, "invalid_signature", "No event is believed here: the gateway in use is not Stripe.")
    try:
        raw = source.authenticate(request.get_data(), request.headers.get("Stripe-Signature", ""), now=now)
    except InvalidSignature as error:
        raise Refusal(400, "invalid_signature", "This does not prove to come from Stripe.") from error
    with transaction() as session:
        store_event(session, source.name, raw, source=WEBHOOK, now=now)
    return {"stored": True}
