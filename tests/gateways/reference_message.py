"""The same message built with the standard library alone, as a reference."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any


def stdlib_message(**given: Any) -> EmailMessage:
    """Return the message for the arguments of `service.gateways.email.mime.build_message`."""
    message = EmailMessage(policy=SMTP.clone(utf8=not given["to"].isascii()))
    message["From"] = given["sender"]
    message["To"] = given["to"]
    message["Subject"] = given["subject"]
    message["Date"] = format_datetime(given["date"])
    message["Message-ID"] = given["message_id"]
    message["List-Unsubscribe"] = f"<{given['unsubscribe_url']}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(given["text"], cte="quoted-printable")
    message.add_alternative(given["html"], subtype="html", cte="quoted-printable")
    # Set last, because adding a second part moves the content headers into the first.
    message["Content-Language"] = given["lang"]
    return message
