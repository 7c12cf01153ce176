"""The demonstration's outbox: the mails that `smtp` would have sent, for anyone who can open this address."""

import datetime
import uuid
from dataclasses import dataclass
from email import message_from_string, policy
from email.message import EmailMessage

from flask import Blueprint, Response
from werkzeug.exceptions import NotFound

from service.db.models.email import DevOutboxEmail
from service.domain.email.dev_outbox import get_outbox_email, list_outbox_emails
from service.pages.rendering import render_page
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
# A mail may style itself and lead the reader on, and do nothing else.
EMAIL_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)

outbox = Blueprint("outbox", __name__, url_prefix="/dev/outbox")


@dataclass(frozen=True, kw_only=True)
class ParsedEmail:
    """A mail, opened."""

    id: uuid.UUID
    sent_at: datetime.datetime
    headers: dict[str, str]
    text: str
    html: str


@outbox.before_request
def require_dev_outbox() -> None:
    """Be there only while mails are kept, and only for whoever sits at the machine that keeps them.

    A newsroom that forgot to set a mail server must not show its readers' addresses to the world.
    """
    if not current_container().settings.uses_dev_outbox or not is_local_request():
        raise NotFound


@outbox.get("")
def list_mails() -> Response:
    """List the mails, the newest first."""
    with read_only() as session:
        return render_page(
            "outbox.html", english_texts(), mails=[_parse(mail) for mail in list_outbox_emails(session)]
        )


@outbox.get("/<uuid:mail_id>")
def show_mail(mail_id: uuid.UUID) -> Response:
    """Show one mail: its headers, and both its parts."""
    with read_only() as session:
        return render_page(
            "mail.html", english_texts(), allow_frames=True, mail=_parse(get_outbox_email(session, mail_id))
        )


@outbox.get("/<uuid:mail_id>/html")
def show_html_part(mail_id: uuid.UUID) -> Response:
    """Give the HTML part as it was written, to be shown in a frame that can do nothing."""
    with read_only() as session:
        html = _parse(get_outbox_email(session, mail_id)).html
    # Mail programs open links in a window of their own; in our frame, they take the whole page.
    response = Response(
        html.replace("<head>", '<head><base target="_top">', 1), content_type="text/html; charset=utf-8"
    )
    response.headers["Content-Security-Policy"] = EMAIL_CSP
    response.headers["Cache-Control"] = "no-store"
    return response


def _parse(mail: DevOutboxEmail) -> ParsedEmail:
    message = message_from_string(mail.message, policy=policy.default)
    return ParsedEmail(
        id=mail.id,
        sent_at=mail.sent_at,
        headers={name: str(message[name]) for name in SHOWN_HEADERS if name in message},
        text=_part(message, "plain"),
        html=_part(message, "html"),
    )


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return "" if part is None else str(part.get_content())
