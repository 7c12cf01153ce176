"""A reminder email to render and send, and a parser for the result."""

import dataclasses
import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from typing import Any

from service.domain.ports import Mailer, ReminderEmail, RenderedEmail

REMINDER_EMAIL = ReminderEmail(
    message_id="<reminder-1-1@desk.test>",
    to="reader@news.example",
    lang="en",
    campaign_name="The Paper",
    campaign_heading="Ours to keep",
    texts={},
    requested_on=datetime.date(2026, 10, 23),
    requested_from="https://paper.example/article",
    page_title=None,
    frequency=None,
    money=None,
    give_url="http://desk.test/support/default",
    manage_url="http://desk.test/r/token",
    cancel_url="http://desk.test/v1/reminders/token/cancel",
    account_url="http://desk.test/me",
)


def reminder_email(**changes: Any) -> ReminderEmail:
    """Return the email with these fields changed."""
    return dataclasses.replace(REMINDER_EMAIL, **changes)


def send(mailer: Mailer, **changes: Any) -> str:
    """Render and send the email with these fields changed; return the server's reply."""
    return mailer.send(mailer.render(reminder_email(**changes)))


def parse(mail: RenderedEmail) -> EmailMessage:
    """Parse an email with the standard library."""
    message = message_from_bytes(mail.content, _class=EmailMessage, policy=modern)
    for part in message.walk():
        assert part.defects == []
    return message
