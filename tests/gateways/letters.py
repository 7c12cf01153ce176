"""A letter to send, for the tests of those who send."""

import dataclasses
import datetime
from typing import Any

from service.domain.ports import ReminderLetter

LETTER = ReminderLetter(
    message_id="<reminder-1-1@desk.test>",
    to="reader@news.example",
    lang="en",
    campaign_name="The Paper",
    campaign_heading="Ours to keep",
    texts={},
    asked_on=datetime.date(2026, 10, 23),
    asked_where="https://paper.example/article",
    frequency=None,
    money=None,
    give_url="http://desk.test/support/default",
    manage_url="http://desk.test/r/token",
    cancel_url="http://desk.test/v1/reminders/token/cancel",
)


def letter(**changes: Any) -> ReminderLetter:
    """Return the letter with some of it changed."""
    return dataclasses.replace(LETTER, **changes)
