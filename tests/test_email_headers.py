"""Email headers, byte for byte, as other programs parse them."""

import datetime

import pytest

from service.domain.ports import ReminderEmail
from service.gateways.email.renderer import EmailRenderer

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
LONG_URL = "https://support.a-newsroom-with-a-long-name.example"


def reminder_email(token: str) -> ReminderEmail:
    return ReminderEmail(
        message_id=f"<reminder-01a2096b-83c1-7b2b-a6ec-57c100000000-1@{LONG_URL.removeprefix('https://')}>",
        to="reader@example.org",
        lang="en",
        campaign_name="The Harbour Lantern",
        campaign_heading="This paper is yours to keep",
        texts={},
        requested_on=NOON.date(),
        requested_from=None,
        page_title=None,
        frequency=None,
        money=None,
        give_url=f"{LONG_URL}/support/default",
        manage_url=f"{LONG_URL}/r/{token}",
        cancel_url=f"{LONG_URL}/v1/reminders/{token}/cancel",
        account_url=f"{LONG_URL}/me",
    )


def test_long_address_is_not_split_into_encoded_words() -> None:
    sent = reminder_email("A" * 76)
    lines = EmailRenderer("Mainstay <support@localhost>", lambda: NOON).render(sent).content.split(b"\r\n")
    assert f"List-Unsubscribe: <{sent.cancel_url}>".encode() in lines
    assert f"Message-ID: {sent.message_id}".encode() in lines
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines


def test_address_cannot_inject_header() -> None:
    with pytest.raises(ValueError, match="List-Unsubscribe"):
        EmailRenderer("Mainstay <support@localhost>", lambda: NOON).render(
            reminder_email("A\r\nBcc: x@example.org")
        )
