"""Webhooks of email services (bounces, complaints, unsubscribes) and of Stripe (payment events)."""

from flask import request

from schemas.admin import WebhookResponse
from schemas.email_webhooks import EmailWebhookResponse
from service.api.blueprint import ResourceBlueprint
from service.api.problems import HTTP_PROBLEMS, ProblemException
from service.domain.email.suppression import apply_bounce_reports
from service.domain.email.webhook_proofs import use_proof
from service.domain.payments.inbox import WEBHOOK, store_event
from service.domain.ports import EmailWebhookProvider, InvalidSignature, InvalidWebhook, WebhookUnavailable
from service.web import current_container, transaction

mail_webhooks = ResourceBlueprint(
    "email webhooks",
    __name__,
    url_prefix="/v1/webhooks/mail",
    description="Bounces, complaints and unsubscribes from email services.",
)

stripe_webhook = ResourceBlueprint(
    "Stripe webhooks", __name__, url_prefix="/v1/webhooks/stripe", description="Events from Stripe."
)

SERVICE_DOC = {
    "in": "path",
    "name": "service",
    "description": "`postmark`, `mailgun`, `ses`, `sendgrid` or `brevo`, if its setting is set.",
}
EMAIL_BODY_DOC = {
    "required": True,
    "description": "A report or a batch of them, in the format that the service documents; up to 1 MiB. Amazon "
    "sends JSON as text, so the content type does not matter.",
    "content": {
        "application/json": {"schema": {"type": ["object", "array"]}},
        "text/plain": {"schema": {"type": "string"}},
    },
}
SIGNATURE_HEADER_DOC = {"in": "header", "name": "Stripe-Signature", "required": True, "schema": {"type": "string"}}
STRIPE_BODY_DOC = {
    "required": True,
    "description": "An event in the format that Stripe documents.",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


@mail_webhooks.route("/<service>", methods=["POST"], parameters=[SERVICE_DOC])
@mail_webhooks.doc(requestBody=EMAIL_BODY_DOC)
@mail_webhooks.response(200, EmailWebhookResponse)
def receive_email_webhook(service: str) -> dict[str, int]:
    """Receive bounces, complaints and unsubscribes from an email service.

    Each service authenticates in its own way: a name and a password, a token, or a signature. 401 means that it is
    not valid, and 503 that the service could not be reached to verify it.
    """
    container = current_container()
    provider = container.email_webhooks.get(service)
    if provider is None:
        raise ProblemException(404, *HTTP_PROBLEMS[404])
    now, body = container.clock(), request.get_data()
    try:
        if not provider.is_authentic(dict(request.headers), body, now):
            raise _invalid_proof(provider)
        proof, reports = provider.proof(body), provider.parse(body)
        provider.confirm_subscription(body)
    except WebhookUnavailable as error:
        detail = f"{provider.name} did not respond when we verified this; send it again."
        raise ProblemException(503, HTTP_PROBLEMS[503][0], detail, {"Retry-After": "20"}) from error
    except InvalidWebhook as error:
        raise ProblemException(400, "unreadable_report", f"This is not what {provider.name} sends.") from error
    with transaction() as session:
        if proof is not None and not use_proof(session, proof):
            raise _invalid_proof(provider)
        return {"suppressed": apply_bounce_reports(session, reports, now=now)}


def _invalid_proof(provider: EmailWebhookProvider) -> ProblemException:
    # A provider that authenticates by password is challenged for it (RFC 9110, section 11.6.1).
    challenge = {"WWW-Authenticate": provider.www_authenticate} if provider.www_authenticate else {}
    detail = f"This is not authenticated as coming from {provider.name}."
    return ProblemException(401, "invalid_signature", detail, challenge)


@stripe_webhook.route("", methods=["POST"])
@stripe_webhook.doc(parameters=[SIGNATURE_HEADER_DOC], requestBody=STRIPE_BODY_DOC)
@stripe_webhook.response(200, WebhookResponse)
def receive_stripe_webhook() -> dict[str, bool]:
    """Receive an event signed by Stripe. Repeated deliveries are stored once."""
    container = current_container()
    source, now = container.event_source, container.clock()
    if source is None:
        raise ProblemException(400, "invalid_signature", "Events are rejected: GATEWAY is not stripe.")
    try:
        raw = source.authenticate(request.get_data(), request.headers.get("Stripe-Signature", ""), now=now)
    except InvalidSignature as error:
        raise ProblemException(400, "invalid_signature", "The signature is not Stripe's.") from error
    with transaction() as session:
        store_event(session, source.name, raw, source=WEBHOOK, now=now)
    return {"stored": True}
