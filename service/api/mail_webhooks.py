"""What mail services report: bounces, complaints and wishes to be left alone."""

from flask import request

from schemas.email_webhooks import EmailWebhookResponse
from service.api.blueprint import ResourceBlueprint
from service.api.problems import HTTP_PROBLEMS, ProblemException
from service.domain.email.suppression import apply_bounce_reports
from service.domain.ports import InvalidWebhook
from service.web import current_container, transaction

mail_webhooks = ResourceBlueprint(
    "mail reports", __name__, url_prefix="/v1/webhooks/mail", description="What mail services report."
)

REQUEST_BODY_DOC = {
    "required": True,
    "description": "As the service documents it.",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


@mail_webhooks.route("/<service>", methods=["POST"])
@mail_webhooks.doc(requestBody=REQUEST_BODY_DOC)
@mail_webhooks.response(200, EmailWebhookResponse)
def receive_email_webhook(service: str) -> dict[str, int]:
    """Let no more mail go to an address that bounced, complained or unsubscribed."""
    container = current_container()
    reporter = container.email_webhooks.get(service)
    if reporter is None:
        raise ProblemException(404, *HTTP_PROBLEMS[404])
    now, body = container.clock(), request.get_data()
    try:
        if not reporter.is_authentic(dict(request.headers), body, now):
            # Where the proof is a login, a program may ask for it as browsers do (RFC 9110, section 11.6.1).
            asked = {"WWW-Authenticate": reporter.www_authenticate} if reporter.www_authenticate else {}
            raise ProblemException(
                401, "invalid_signature", f"This does not prove to come from {reporter.name}.", asked
            )
        reports = reporter.parse(body)
    except InvalidWebhook as error:
        raise ProblemException(400, "unreadable_report", f"This is not what {reporter.name} sends.") from error
    with transaction() as session:
        return {"suppressed": apply_bounce_reports(session, reports, now=now)}
