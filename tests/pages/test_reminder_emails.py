"""The content of reminder emails, in both parts and both languages."""

import dataclasses
import datetime
import re
from email.message import EmailMessage
from typing import Any

import pytest

from schemas.enums import Frequency
from service.domain.money import Money
from service.gateways.email.renderer import EmailRenderer
from tests.gateways.emails import REMINDER_EMAIL, parse
from tests.pages.html import visible_text

NOW = datetime.datetime(2026, 12, 23, 9, 0, tzinfo=datetime.UTC)


def render(**changes: Any) -> EmailMessage:
    email = dataclasses.replace(REMINDER_EMAIL, **changes)
    return parse(EmailRenderer("The Paper <support@paper.example>", lambda: NOW).render(email))


def parts(**changes: Any) -> tuple[str, str]:
    """Return the visible text of the plain part and of the HTML part."""
    message = render(**changes)
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    return " ".join(text.split()), visible_text(html)


def sources(**changes: Any) -> tuple[str, str]:
    """Return the plain part and the HTML part."""
    message = render(**changes)
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    return text, html


def test_reminder_has_date_of_the_request_and_links_to_its_page() -> None:
    request = {"requested_on": datetime.date(2026, 11, 23), "requested_from": "https://paper.example/story"}
    for content in parts(**request):
        assert "On November 23, 2026 you asked us to remind you to support The Paper." in content
        assert "Open the page you were reading" in content
    text, html = sources(**request)
    assert "Open the page you were reading:\nhttps://paper.example/story\n" in text.replace("\r\n", "\n")
    assert 'href="https://paper.example/story"' in html


def test_title_of_the_page_is_the_link_to_it() -> None:
    request = {"requested_from": "https://paper.example/story", "page_title": "Harbour <wall> & tide"}
    for content in parts(**request):
        assert "You were reading: Harbour <wall> & tide" in content
        assert "Open the page" not in content
    text, html = sources(**request)
    assert "Harbour <wall> & tide\nhttps://paper.example/story\n" in text.replace("\r\n", "\n")
    assert '<a href="https://paper.example/story">Harbour &lt;wall&gt; &amp; tide</a>' in html


def test_title_without_a_page_of_the_newsroom_or_in_a_confirmation_request_is_left_out() -> None:
    for changes in ({"requested_from": None}, {"is_confirmation_request": True}):
        for content in sources(page_title="Buy this", **changes):
            assert "Buy this" not in content


def test_html_text_has_no_raw_urls() -> None:
    for changes in ({}, {"is_confirmation_request": True}, {"every_months": 1}):
        assert "://" not in parts(requested_from="https://paper.example/story", **changes)[1]


def test_unknown_page_is_not_mentioned() -> None:
    for content in parts(requested_from=None):
        assert "asked us to remind you to support" in content
        assert "you were reading" not in content


def test_query_and_fragment_of_the_page_are_left_out() -> None:
    for content in sources(requested_from="https://paper.example/story?session=secret#mine"):
        assert "https://paper.example/story" in content
        assert "secret" not in content
        assert "mine" not in content


@pytest.mark.parametrize(
    ("frequency", "amount", "label"),
    [
        (Frequency.MONTHLY, 500, "Give $5 a month"),
        (Frequency.ANNUAL, 2550, "Give $25.50 a year"),
        (Frequency.ONCE, 500, "Give $5"),
    ],
)
def test_button_has_amount_and_frequency(frequency: Frequency, amount: int, label: str) -> None:
    for content in parts(frequency=frequency, money=Money(amount, "USD")):
        assert label in content


@pytest.mark.parametrize(
    "changes", [{"frequency": None}, {"money": None}, {"frequency": None, "money": None}], ids=str
)
def test_button_without_complete_choice_has_campaign_name(changes: dict[str, Any]) -> None:
    for content in parts(campaign_name="The Harbour Lantern", **changes):
        assert "Support The Harbour Lantern" in content


def test_both_parts_link_to_support_page_and_reminder_page() -> None:
    message = render()
    for kind in ("plain", "html"):
        content = message.get_body((kind,)).get_content().replace("&amp;", "&")
        assert content.count(REMINDER_EMAIL.give_url) == 1
        assert content.count(REMINDER_EMAIL.manage_url) == 1


def test_html_has_no_external_resources_or_trackers() -> None:
    html = re.sub(r"<!--.*?-->", "", render().get_body(("html",)).get_content())
    for mark in ("<img", "<script", "<link", "url(", "<table", "http-equiv"):
        assert mark not in html
    assert '<meta name="color-scheme" content="light dark">' in html


def test_reminder_is_translated() -> None:
    message = render(lang="ru", requested_on=datetime.date(2026, 11, 23), campaign_name="Портовый фонарь")
    assert message["Subject"] == "Напоминание от «Портовый фонарь»"
    assert message["Content-Language"] == "ru"
    for kind in ("plain", "html"):
        # No line break comes inside the date.
        assert "23 ноября 2026".replace(" ", "\N{NO-BREAK SPACE}") in message.get_body((kind,)).get_content()


def test_language_without_texts_falls_back_to_english() -> None:
    message = render(lang="eo")
    assert message["Content-Language"] == "en"
    assert "Hello," in message.get_body(("plain",)).get_content()


def test_campaign_overrides_reminder_texts() -> None:
    message = render(texts={"mail_subject": "A word from\n{campaign}"}, campaign_name="The Harbour Lantern")
    assert message["Subject"] == "A word from The Harbour Lantern"
    assert message["Bcc"] is None


def test_markup_in_campaign_name_is_escaped() -> None:
    html = render(campaign_name="<b>Bold</b> & Co").get_body(("html",)).get_content()
    assert "<b>" not in html
    assert "&lt;b&gt;Bold&lt;/b&gt; &amp; Co" in html


@pytest.mark.parametrize(
    ("months", "lang", "sentence"),
    [
        (1, "en", "We’ll send one every month until you cancel."),
        (3, "en", "We’ll send one every 3 months until you cancel."),
        (12, "en", "We’ll send one every year until you cancel."),
        (1, "ru", "Мы присылаем его каждый месяц, пока вы не отмените."),
        (3, "ru", "Мы присылаем его каждые 3 месяца, пока вы не отмените."),
        (6, "ru", "Мы присылаем его каждые 6 месяцев, пока вы не отмените."),
        (12, "ru", "Мы присылаем его каждый год, пока вы не отмените."),
    ],
)
def test_recurring_reminder_has_interval_and_how_to_stop(months: int, lang: str, sentence: str) -> None:
    for content in parts(every_months=months, lang=lang):
        assert sentence in content
        assert ("cancel with the link above" if lang == "en" else "отмените их по ссылке выше") in content
        for once in ("sending it once", "один раз"):
            assert once not in content


def test_single_reminder_says_that_it_is_the_only_one() -> None:
    for content in parts():
        assert "We’re sending it once" in content
        assert "every" not in content


def test_confirmation_request_has_origin_and_retention_period() -> None:
    request = {
        "requested_on": datetime.date(2026, 11, 23),
        "requested_from": "https://paper.example/story?session=secret",
    }
    for content in parts(is_confirmation_request=True, **request):
        assert "On November 23, 2026 someone, hopefully you, asked us to remind you" in content
        assert "Yes, remind me" in content
        assert "If you don’t, we won’t remind you, and we’ll delete your address after 7 days." in content
    # Anyone can ask with any address, so the request does not link to the page that they named.
    for content in sources(is_confirmation_request=True, **request):
        assert "paper.example/story" not in content


def test_confirmation_request_has_one_link_and_no_amount() -> None:
    message = render(is_confirmation_request=True, frequency=Frequency.ONCE, money=Money(500, "USD"))
    assert message["Subject"] == "Please confirm your reminder from The Paper"
    assert message["List-Unsubscribe"] == f"<{REMINDER_EMAIL.cancel_url}>"
    for kind in ("plain", "html"):
        content = message.get_body((kind,)).get_content()
        assert content.count("http") == 1 if kind == "plain" else content.count("href=") == 1
        assert content.count(REMINDER_EMAIL.manage_url) == 1
        assert REMINDER_EMAIL.give_url not in content
        assert "Give $5" not in content


def test_confirmation_request_has_interval_of_recurring_reminder() -> None:
    for content in parts(is_confirmation_request=True, every_months=3):
        assert "we’ll remind you every 3 months until you cancel" in content
    for content in parts(is_confirmation_request=True):
        assert "we’ll remind you once" in content


def test_confirmation_request_is_translated() -> None:
    message = render(is_confirmation_request=True, lang="ru", campaign_name="Портовый фонарь")
    assert message["Subject"] == "Подтвердите напоминание от «Портовый фонарь»"
    for content in parts(is_confirmation_request=True, lang="ru"):
        assert "Да, напомните мне" in content
        assert "через 7 дней удалим ваш адрес" in content
