"""The development outbox: pages that show the stored emails instead of sending them."""

import datetime
import uuid
from dataclasses import dataclass
from email import message_from_string, policy
from email.message import EmailMessage

from flask import Blueprint, Response
from werkzeug.exceptions import NotFound

from service.db.models.email import DevOutboxEmail
from service.domain.email.dev_outbox import get_outbox_email, list_outbox_emails
from service.pages.rendering import PERMISSIONS_POLICY, render_page
from service.pages.translations import english_texts
from service.web import current_container, is_local_request, read_only

SHOWN_HEADERS = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Auto-Submitted",
    "Content-Language",
)
# An email may have styles, links and the logo of its campaign, and nothing else.
EMAIL_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)

SERVICE_NAME = "Mainstay"

outbox = Blueprint("outbox", __name__, url_prefix="/dev/outbox")


@dataclass(frozen=True, kw_only=True)
class ParsedEmail:
    """An email's headers and its two parts."""

    id: uuid.UUID
    sent_at: datetime.datetime
    headers: dict[str, str]
    text: str
    html: str


@outbox.before_request
def require_dev_outbox() -> None:
    """Serve the outbox only if it is in use, and only to requests from the same machine.

    An installation without a configured mail server must not publish its supporters' addresses.

    Raises:
        NotFound: the outbox is not available to this request.
    """
    if not current_container().settings.uses_dev_outbox or not is_local_request():
        raise NotFound


@outbox.get("")
def list_emails() -> Response:
    """List the emails, newest first."""
    with read_only() as session:
        return render_page(
            "dev_outbox.html",
            english_texts(),
            site_name=SERVICE_NAME,
            emails=[_parse(email) for email in list_outbox_emails(session)],
        )


@outbox.get("/<uuid:email_id>")
def show_email(email_id: uuid.UUID) -> Response:
    """Show an email's headers and both its parts."""
    with read_only() as session:
        return render_page(
            "dev_outbox_email.html",
            english_texts(),
            allow_frames=True,
            site_name=SERVICE_NAME,
            email=_parse(get_outbox_email(session, email_id)),
        )


@outbox.get("/<uuid:email_id>/html")
def show_html_part(email_id: uuid.UUID) -> Response:
    """Return the HTML part, for a sandboxed frame."""
    with read_only() as session:
        html = _parse(get_outbox_email(session, email_id)).html
    # Email clients open links outside the email, so links in the frame open in the whole window.
    response = Response(
        html.replace("<head>", '<head><base target="_top">', 1), content_type="text/html; charset=utf-8"
    )
    response.headers["Content-Security-Policy"] = EMAIL_CSP
    response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
    return response


def _parse(email: DevOutboxEmail) -> ParsedEmail:
    message = message_from_string(email.message, policy=policy.default)
    return ParsedEmail(
        id=email.id,
        sent_at=email.sent_at,
        headers={name: str(message[name]) for name in SHOWN_HEADERS if name in message},
        text=_part(message, "plain"),
        html=_part(message, "html"),
    )


def _part(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    return "" if part is None else str(part.get_content())
