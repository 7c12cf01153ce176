"""What Stripe tells us: kept safely and answered at once; a job applies it."""

from flask import request

from schemas.admin import WebhookResponse
from service.api.blueprint import ResourceBlueprint
from service.api.problems import ProblemException
from service.domain.payments.inbox import WEBHOOK, store_event
from service.domain.ports import InvalidSignature
from service.web import current_container, transaction

stripe_webhook = ResourceBlueprint(
    "stripe events", __name__, url_prefix="/v1/webhooks/stripe", description="What Stripe tells us."
)

SIGNATURE_HEADER_DOC = {"in": "header", "name": "Stripe-Signature", "required": True, "schema": {"type": "string"}}
REQUEST_BODY_DOC = {
    "required": True,
    "description": "An event, as Stripe documents it.",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


@stripe_webhook.route("", methods=["POST"])
@stripe_webhook.doc(parameters=[SIGNATURE_HEADER_DOC], requestBody=REQUEST_BODY_DOC)
@stripe_webhook.response(200, WebhookResponse)
def receive_stripe_webhook() -> dict[str, bool]:
    """Store an event that Stripe signed, once, however often it comes."""
    container = current_container()
    source, now = container.event_source, container.clock()
    if source is None:
        raise ProblemException(
            400, "invalid_signature", "No event is believed here: the gateway in use is not Stripe."
        )
    try:
        raw = source.authenticate(request.get_data(), request.headers.get("Stripe-Signature", ""), now=now)
    except InvalidSignature as error:
        raise ProblemException(400, "invalid_signature", "This does not prove to come from Stripe.") from error
    with transaction() as session:
        store_event(session, source.name, raw, source=WEBHOOK, now=now)
    return {"stored": True}
