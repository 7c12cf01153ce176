"""What the reminder's mail says, in both its parts and both its languages."""

import datetime
from email.message import EmailMessage
from typing import Any

import pytest

from schemas.enums import Frequency
from service.domain.money import Money
from service.gateways.email.renderer import EmailRenderer
from tests.gateways.emails import letter, parse
from tests.pages.html import visible_text

NOW = datetime.datetime(2026, 12, 23, 9, 0, tzinfo=datetime.UTC)


def write(**changes: Any) -> EmailMessage:
    return parse(EmailRenderer("The Paper <support@paper.example>", lambda: NOW).render(letter(**changes)))


def parts(**changes: Any) -> tuple[str, str]:
    """Return what a reader of the plain text reads, and a reader of the HTML."""
    message = write(**changes)
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    return " ".join(text.split()), visible_text(html)


def test_it_says_when_and_where_the_reader_asked() -> None:
    for said in parts(requested_on=datetime.date(2026, 11, 23), requested_from="https://paper.example/story"):
        assert "You asked us on November 23, 2026, while reading https://paper.example/story," in said


def test_a_page_that_is_not_known_is_not_mentioned() -> None:
    for said in parts(requested_from=None):
        assert "to remind you about supporting" in said
        assert "while reading" not in said


def test_what_may_be_the_readers_alone_is_not_repeated() -> None:
    for said in parts(requested_from="https://paper.example/story?session=secret#mine"):
        assert "secret" not in said
        assert "mine" not in said


@pytest.mark.parametrize(
    ("frequency", "amount", "words"),
    [
        (Frequency.MONTHLY, 500, "Give $5 a month"),
        (Frequency.ANNUAL, 2550, "Give $25.50 a year"),
        (Frequency.ONCE, 500, "Give $5"),
    ],
)
def test_the_button_says_what_was_chosen(frequency: Frequency, amount: int, words: str) -> None:
    for said in parts(frequency=frequency, money=Money(amount, "USD")):
        assert words in said


@pytest.mark.parametrize(
    "changes", [{"frequency": None}, {"money": None}, {"frequency": None, "money": None}], ids=str
)
def test_without_a_whole_choice_the_button_names_the_newsroom(changes: dict[str, Any]) -> None:
    for said in parts(campaign_name="The Harbour Lantern", **changes):
        assert "Support The Harbour Lantern" in said


def test_both_parts_lead_to_the_gift_and_to_the_readers_own_page() -> None:
    message, sent = write(), letter()
    for kind in ("plain", "html"):
        content = message.get_body((kind,)).get_content().replace("&amp;", "&")
        assert content.count(sent.give_url) == 1
        assert content.count(sent.manage_url) == 1


def test_the_html_loads_nothing_and_tracks_nobody() -> None:
    html = write().get_body(("html",)).get_content()
    for mark in ("<img", "<script", "<link", "url(", "<table", "http-equiv"):
        assert mark not in html
    assert '<meta name="color-scheme" content="light dark">' in html


def test_it_is_written_in_the_readers_language() -> None:
    message = write(lang="ru", requested_on=datetime.date(2026, 11, 23), campaign_name="Портовый фонарь")
    assert message["Subject"] == "Напоминание от «Портовый фонарь»"
    assert message["Content-Language"] == "ru"
    for kind in ("plain", "html"):
        assert "23 ноября 2026" in message.get_body((kind,)).get_content()


def test_a_language_without_texts_is_written_in_english() -> None:
    message = write(lang="eo")
    assert message["Content-Language"] == "en"
    assert "Hello," in message.get_body(("plain",)).get_content()


def test_a_campaign_may_say_it_differently() -> None:
    message = write(texts={"mail_subject": "A word from\n{campaign}"}, campaign_name="The Harbour Lantern")
    assert message["Subject"] == "A word from The Harbour Lantern"
    assert message["Bcc"] is None


def test_markup_in_a_name_is_text() -> None:
    html = write(campaign_name="<b>Bold</b> & Co").get_body(("html",)).get_content()
    assert "<b>" not in html
    assert "&lt;b&gt;Bold&lt;/b&gt; &amp; Co" in html


@pytest.mark.parametrize(
    ("months", "lang", "words"),
    [
        (1, "en", "It comes every month, until you cancel it."),
        (3, "en", "It comes every 3 months, until you cancel it."),
        (12, "en", "It comes every year, until you cancel it."),
        (1, "ru", "Оно приходит каждый месяц, пока вы его не отмените."),
        (3, "ru", "Оно приходит каждые 3 месяца, пока вы его не отмените."),
        (6, "ru", "Оно приходит каждые 6 месяцев, пока вы его не отмените."),
        (12, "ru", "Оно приходит каждый год, пока вы его не отмените."),
    ],
)
def test_one_that_comes_again_says_how_often_and_how_to_end_it(months: int, lang: str, words: str) -> None:
    for said in parts(every_months=months, lang=lang):
        assert words in said
        assert (
            "end the reminders with the link above" if lang == "en" else "прекратите их по ссылке выше"
        ) in said
        for once in ("the only one", "only once", "единственное", "один раз"):
            assert once not in said


def test_one_that_comes_once_says_so() -> None:
    for said in parts():
        assert "This is that reminder, and the only one." in said
        assert "every" not in said


def test_a_confirmation_says_when_and_where_they_asked_and_what_silence_means() -> None:
    asked = {
        "requested_on": datetime.date(2026, 11, 23),
        "requested_from": "https://paper.example/story?session=secret",
    }
    for said in parts(is_confirmation_request=True, **asked):
        assert (
            "This address was given to us on November 23, 2026, on the page https://paper.example/story," in said
        )
        assert "Yes, remind me" in said
        assert "Without your yes nothing more comes, and after 7 days we forget this address." in said
        assert "secret" not in said
    for said in parts(is_confirmation_request=True, requested_from=None):
        assert "on the page" not in said


def test_a_confirmation_asks_one_thing_and_does_not_ask_for_money() -> None:
    message, sent = write(is_confirmation_request=True, frequency=Frequency.ONCE, money=Money(500, "USD")), letter()
    assert message["Subject"] == "Please confirm your reminder from The Paper"
    assert message["List-Unsubscribe"] == f"<{sent.cancel_url}>"
    for kind in ("plain", "html"):
        content = message.get_body((kind,)).get_content()
        assert content.count("http") == 2 if kind == "plain" else content.count("href=") == 1
        assert content.count(sent.manage_url) == 1
        assert sent.give_url not in content
        assert "Give $5" not in content


def test_a_confirmation_of_one_that_comes_again_says_how_often() -> None:
    for said in parts(is_confirmation_request=True, every_months=3):
        assert "we will remind you every 3 months, until you cancel" in said
    for said in parts(is_confirmation_request=True):
        assert "we will remind you once" in said


def test_a_confirmation_is_written_in_the_readers_language() -> None:
    message = write(is_confirmation_request=True, lang="ru", campaign_name="Портовый фонарь")
    assert message["Subject"] == "Подтвердите напоминание от «Портовый фонарь»"
    for said in parts(is_confirmation_request=True, lang="ru"):
        assert "Да, напомните мне" in said
        assert "через 7 дней мы забудем этот адрес" in said
