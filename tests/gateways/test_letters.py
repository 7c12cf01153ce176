"""The mail itself: the headers that mail programs act on, and nothing that a reader could smuggle into them."""

import datetime
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.gateways.email.renderer import EmailRenderer
from tests.gateways.emails import REMINDER_EMAIL, letter, parse
from tests.pages.html import visible_text

NOW = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
WRITER = EmailRenderer("The Paper <support@paper.example>", lambda: NOW)
SAID = ("campaign_name", "campaign_heading", "requested_from", "give_url")
WORDS = st.text(
    st.one_of(st.characters(codec="utf-8", exclude_categories=["Cc"]), st.sampled_from("<>&\"'{}.=\r\n жЯ🎈")),
    min_size=1,
    max_size=80,
)


def tags(html: str) -> list[str]:
    return re.findall(r"</?(\w+)", re.sub(r"<(style|title).*?</\1>", "", html, flags=re.DOTALL))


@pytest.fixture
def writer() -> EmailRenderer:
    return WRITER


def test_mail_programs_can_unsubscribe_with_one_click(writer: EmailRenderer) -> None:
    message = parse(writer.render(REMINDER_EMAIL))
    assert message["List-Unsubscribe"] == f"<{REMINDER_EMAIL.cancel_url}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_each_header_is_there_once(writer: EmailRenderer) -> None:
    message = parse(writer.render(REMINDER_EMAIL))
    assert message["Message-ID"] == REMINDER_EMAIL.message_id
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"] == "The Paper <support@paper.example>"
    assert message["To"] == REMINDER_EMAIL.to
    assert message["Date"].datetime == NOW
    assert message["Subject"]
    for name in set(message.keys()):
        assert len(message.get_all(name)) == 1, name


def test_the_mail_says_the_same_as_text_and_as_html(writer: EmailRenderer) -> None:
    message = parse(writer.render(REMINDER_EMAIL))
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    for part in message.iter_parts():
        for link in (REMINDER_EMAIL.give_url, REMINDER_EMAIL.manage_url):
            assert link in part.get_content()


@pytest.mark.parametrize("sign", ["\r\n", "\n", "\r"])
def test_an_address_with_a_line_break_forges_no_header(writer: EmailRenderer, sign: str) -> None:
    with pytest.raises(ValueError, match="invalid"):
        writer.render(letter(to=f"a@news.example{sign}Bcc: b@news.example"))


def test_a_page_address_with_a_line_break_forges_no_header(writer: EmailRenderer) -> None:
    message = parse(writer.render(letter(requested_from="https://paper.example/\r\nBcc: b@news.example")))
    assert message["Bcc"] is None


def test_what_a_reader_sent_is_text_in_the_html(writer: EmailRenderer) -> None:
    message = parse(writer.render(letter(requested_from="https://paper.example/<script>alert(1)</script>")))
    html = message.get_body(("html",)).get_content()
    assert "<script>" not in html


def test_a_letter_becomes_a_mail_to_its_reader_under_its_own_id(writer: EmailRenderer) -> None:
    mail = writer.render(REMINDER_EMAIL)
    assert (mail.message_id, mail.recipient) == (REMINDER_EMAIL.message_id, REMINDER_EMAIL.to)
    for secret in (REMINDER_EMAIL.to, REMINDER_EMAIL.manage_url):
        assert secret not in repr(mail)


@settings(deadline=None)
@given(
    changes=st.fixed_dictionaries({}, optional=dict.fromkeys(SAID, WORDS)),
    lang=st.sampled_from(["en", "ru", "eo"]),
)
def test_whatever_a_campaign_or_a_reader_says_is_only_text(changes: dict[str, str], lang: str) -> None:
    """The text as it is, in both parts; nothing in it becomes a header, a tag or a part."""
    message = parse(WRITER.render(letter(lang=lang, **changes)))
    assert set(message.keys()) == set(parse(WRITER.render(REMINDER_EMAIL)).keys())
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    said = " ".join(changes.get("campaign_name", REMINDER_EMAIL.campaign_name).split())
    assert said in " ".join(text.split())
    assert said in visible_text(html)
    assert tags(html) == tags(parse(WRITER.render(letter(lang=lang))).get_body(("html",)).get_content())


def test_a_thousand_letters_are_written_in_a_moment(writer: EmailRenderer) -> None:
    emails = [letter(message_id=f"<{number}@desk.test>", to=f"r{number}@news.example") for number in range(1000)]
    begun = time.process_time()
    for each in emails:
        writer.render(each)
    # A tenth of that on the machine that this was written on; the standard library alone takes two seconds.
    assert time.process_time() - begun < 1
