"""The rendered reminder: its headers, both parts, and no injection by a reader's or campaign's input."""

import datetime
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.money import Money
from service.domain.offer_changes import Change, OfferChange
from service.gateways.email.renderer import EmailRenderer
from tests.gateways.emails import REMINDER_EMAIL, parse, reminder_email
from tests.pages.html import visible_text

NOW = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
RENDERER = EmailRenderer("The Paper <support@paper.example>", lambda: NOW)
FIELDS = ("campaign_name", "campaign_heading", "requested_from", "page_title", "give_url")
TEXTS = st.text(
    st.one_of(st.characters(codec="utf-8", exclude_categories=["Cc"]), st.sampled_from("<>&\"'{}.=\r\n жЯ🎈")),
    min_size=1,
    max_size=80,
)


def tags(html: str) -> list[str]:
    return re.findall(r"</?(\w+)", re.sub(r"<(style|title).*?</\1>", "", html, flags=re.DOTALL))


@pytest.fixture
def renderer() -> EmailRenderer:
    return RENDERER


def test_reminder_has_one_click_unsubscribe_headers(renderer: EmailRenderer) -> None:
    message = parse(renderer.render(REMINDER_EMAIL))
    assert message["List-Unsubscribe"] == f"<{REMINDER_EMAIL.cancel_url}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_each_header_occurs_once(renderer: EmailRenderer) -> None:
    message = parse(renderer.render(REMINDER_EMAIL))
    assert message["Message-ID"] == REMINDER_EMAIL.message_id
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"] == "The Paper <support@paper.example>"
    assert message["To"] == REMINDER_EMAIL.to
    assert message["Date"].datetime == NOW
    assert message["Subject"]
    for name in set(message.keys()):
        assert len(message.get_all(name)) == 1, name


def test_text_and_html_parts_have_the_same_links(renderer: EmailRenderer) -> None:
    message = parse(renderer.render(REMINDER_EMAIL))
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    for part in message.iter_parts():
        for link in (REMINDER_EMAIL.give_url, REMINDER_EMAIL.manage_url):
            assert link in part.get_content()


@pytest.mark.parametrize("sign", ["\r\n", "\n", "\r"])
def test_address_with_a_line_break_is_rejected(renderer: EmailRenderer, sign: str) -> None:
    with pytest.raises(ValueError, match="invalid"):
        renderer.render(reminder_email(to=f"a@news.example{sign}Bcc: b@news.example"))


def test_page_url_with_a_line_break_injects_no_header(renderer: EmailRenderer) -> None:
    message = parse(
        renderer.render(reminder_email(requested_from="https://paper.example/\r\nBcc: b@news.example"))
    )
    assert message["Bcc"] is None


def test_reader_input_is_escaped_in_html(renderer: EmailRenderer) -> None:
    message = parse(
        renderer.render(reminder_email(requested_from="https://paper.example/<script>alert(1)</script>"))
    )
    html = message.get_body(("html",)).get_content()
    assert "<script>" not in html


def test_rendered_email_has_its_recipient_and_message_id(renderer: EmailRenderer) -> None:
    mail = renderer.render(REMINDER_EMAIL)
    assert (mail.message_id, mail.recipient) == (REMINDER_EMAIL.message_id, REMINDER_EMAIL.to)
    for secret in (REMINDER_EMAIL.to, REMINDER_EMAIL.manage_url):
        assert secret not in repr(mail)


@settings(deadline=None)
@given(
    changes=st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, TEXTS)),
    lang=st.sampled_from(["en", "ru", "eo"]),
)
def test_campaign_and_reader_texts_inject_no_header_tag_or_part(changes: dict[str, str], lang: str) -> None:
    """Both parts contain the text itself."""
    if "requested_from" in changes:
        changes["requested_from"] = f"https://paper.example/{changes['requested_from']}"
    message = parse(RENDERER.render(reminder_email(lang=lang, **changes)))
    assert set(message.keys()) == set(parse(RENDERER.render(REMINDER_EMAIL)).keys())
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    campaign_name = " ".join(changes.get("campaign_name", REMINDER_EMAIL.campaign_name).split())
    assert campaign_name in " ".join(text.split())
    assert campaign_name in visible_text(html)
    assert tags(html) == tags(parse(RENDERER.render(reminder_email(lang=lang))).get_body(("html",)).get_content())


def test_a_thousand_emails_are_rendered_within_a_second(renderer: EmailRenderer) -> None:
    emails = [
        reminder_email(message_id=f"<{number}@desk.test>", to=f"r{number}@news.example") for number in range(1000)
    ]
    started_at = time.process_time()
    for email in emails:
        renderer.render(email)
    # It takes about a tenth of that; the standard library alone takes two seconds.
    assert time.process_time() - started_at < 1


def test_dates_follow_the_region_of_the_campaign(renderer: EmailRenderer) -> None:
    british = visible_text(html_of(renderer, campaign_lang="en-GB"))
    assert "On 23 October 2026 you asked us" in british
    # Another language than the campaign's has its own order of day and month.
    assert "On October 23, 2026 you asked us" in visible_text(html_of(renderer, campaign_lang="de"))


def test_what_is_not_offered_any_more_is_isolated_from_a_right_to_left_sentence(renderer: EmailRenderer) -> None:
    changes = (OfferChange(Change.MINIMUM, money=Money(1000, "EUR")), OfferChange(Change.CURRENCY, currency="EUR"))
    shown = visible_text(html_of(renderer, lang="ar", offer_changes=changes))
    assert "\u206810 €\u2069" in re.sub("[\u200e\u200f]", "", shown)
    assert "\u2068EUR\u2069" in shown


def html_of(renderer: EmailRenderer, **changes: Any) -> str:
    body = parse(renderer.render(reminder_email(**changes))).get_body(("html",))
    assert body is not None
    return str(body.get_content())
