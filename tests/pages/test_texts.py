"""The texts of pages and emails are complete and consistent in every language."""

import datetime
import re
from importlib import resources

import pytest

from schemas.enums import Frequency, PledgeStatus, ReminderStatus
from schemas.plurals import format_plural, lone_count, plural_bases, plural_categories, plural_names
from schemas.text_check import find_text_errors
from schemas.translations import (
    NAMESPACES,
    available_languages,
    english_texts_for,
    load_texts,
    parse_placeholders,
    placeholders_for,
    read_texts,
    text_names,
    texts_for,
)
from service.domain.dates import format_long_date
from service.domain.money import Money, format_money
from service.pages.form_errors import FIELD_AND_TEXT_BY_CODE
from service.pages.support_script import TEXT_NAMES as SCRIPT_TEXT_NAMES
from service.pages.translations import Texts

TEXTS = resources.files("schemas") / "texts"


ENGLISH_WIDGET = read_texts("widget", "en")
LANGUAGES = available_languages()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_language_has_the_same_texts_and_placeholders_as_english(lang: str) -> None:
    assert find_text_errors(lang) == []
    for namespace in NAMESPACES:
        assert list(read_texts(namespace, lang)) == list(english_texts_for(namespace, lang)), namespace


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_plural_texts_have_exactly_the_forms_of_their_language(namespace: str, lang: str) -> None:
    texts = read_texts(namespace, lang)
    for base in plural_bases(read_texts(namespace, "en")):
        assert {name for name in texts if name.rpartition("_")[0] == base} == set(plural_names(base, lang))
        for category, name in zip(plural_categories(lang), plural_names(base, lang), strict=True):
            # "Once a month" leaves its number out, but a Russian "one" also stands for 21.
            is_for_one_number = lone_count(lang, category) is not None
            placeholders = parse_placeholders(texts[name])
            assert placeholders | ({"count"} if is_for_one_number else set()) == placeholders_for(name)


def test_categories_are_those_of_cldr() -> None:
    assert plural_categories("en") == plural_categories("de") == ("one", "other")
    assert plural_categories("ru") == plural_categories("pl") == ("one", "few", "many", "other")
    assert plural_categories("ar") == ("zero", "one", "two", "few", "many", "other")
    assert plural_categories("ja") == ("other",)
    assert plural_categories("pt-BR") == ("one", "many", "other")
    assert plural_categories("xx-nowhere") == plural_categories("en")


@pytest.mark.parametrize(
    ("lang", "count", "expected"),
    [
        ("en", 1, "Try again in 1 second"),
        ("en", 29, "Try again in 29 seconds"),
        ("ru", 1, "Попробовать ещё раз через 1 секунду"),
        ("ru", 3, "Попробовать ещё раз через 3 секунды"),
        ("ru", 5, "Попробовать ещё раз через 5 секунд"),
        ("ru", 21, "Попробовать ещё раз через 21 секунду"),
        # Without texts: English, even where "one" stands for 21 too.
        ("cy", 2, "Try again in 2 seconds"),
        ("sr", 21, "Try again in 21 seconds"),
        ("ja", 1, "Try again in 1 seconds"),
    ],
)
def test_form_follows_the_count(lang: str, count: int, expected: str) -> None:
    assert format_plural(load_texts("widget", lang), lang, "try_again_in", count) == expected


def test_placeholders_of_a_plural_form_are_known_in_every_language() -> None:
    assert placeholders_for("try_again_in_few") == placeholders_for("try_again_in_one") == {"count"}
    assert "try_again_in_few" in text_names("ru")
    assert "try_again_in_few" not in text_names("en")


def test_text_that_a_language_lacks_is_english(monkeypatch: pytest.MonkeyPatch) -> None:
    russian = {name: text for name, text in read_texts("widget", "ru").items() if name != "close"}
    monkeypatch.setattr(
        "schemas.translations.read_texts", lambda namespace, lang: russian if lang == "ru" else ENGLISH_WIDGET
    )
    texts = load_texts.__wrapped__("widget", "ru")
    assert texts["close"] == "Close"
    assert texts["back"] == "Назад"


def test_stored_override_with_an_unknown_placeholder_is_ignored() -> None:
    overrides = {"en": {"reminder_date": "On {day}.", "close": "Shut", "back": "a { brace"}}
    texts = texts_for("widget", "en", overrides)
    assert texts["close"] == "Shut"
    assert texts["reminder_date"] == ENGLISH_WIDGET["reminder_date"]
    assert texts["back"] == ENGLISH_WIDGET["back"]


@pytest.mark.parametrize("lang", ["ru", "uk"])
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_no_sentence_ends_with_a_date_and_two_full_stops(namespace: str, lang: str) -> None:
    # A long Russian or Ukrainian date ends with the full stop of "г." or "р.".
    dates = re.compile(r"\{(date|since|first|last|next)\}\.")
    assert [name for name, text in read_texts(namespace, lang).items() if dates.search(text)] == []


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_readers_are_addressed_alike_in_every_text(namespace: str) -> None:
    """Spanish says tú, German and French say Sie and vous."""
    other_forms = {
        "es": r"\b(usted|le ha|Sus?|(?i:introduzca|inténtelo|responda|indique|escriba|confirme|compruebe))\b",
        "de": r"\b(?i:du|dir|dich|deine?[mnrs]?)\b",
        "fr": r"\b(?i:tu|toi|ton|tes)\b",
    }
    for lang, pattern in other_forms.items():
        assert [name for name, text in read_texts(namespace, lang).items() if re.search(pattern, text)] == [], lang


def test_text_names_are_unique() -> None:
    names = [name for namespace in NAMESPACES for name in load_texts(namespace, "en")]
    assert len(names) == len(set(names))


def test_every_computed_text_name_exists() -> None:
    pages, widget, emails = load_texts("pages", "en"), load_texts("widget", "en"), load_texts("mails", "en")
    for frequency in Frequency:
        assert {f"gift_{frequency}", f"presets_{frequency}", f"thanks_{frequency}"} <= pages.keys()
        assert frequency in widget
        assert f"mail_give_{frequency}" in emails
    for status in ReminderStatus:
        assert {f"reminder_{status}", f"reminder_{status}_title"} <= pages.keys()
    for status in PledgeStatus:
        if status not in ("completed", "active", "past_due"):
            assert {f"thanks_{status}", f"thanks_{status}_title"} <= pages.keys()
    for _, text in FIELD_AND_TEXT_BY_CODE.values():
        assert text in pages | widget


@pytest.mark.parametrize("lang", available_languages())
def test_script_of_the_support_page_gets_every_text_that_it_names(lang: str) -> None:
    texts = Texts(lang, {})
    assert [name for name in SCRIPT_TEXT_NAMES if name not in texts] == []


def test_every_language_that_readers_are_offered_is_complete() -> None:
    assert {"ar", "de", "en", "es", "fr", "pl", "ru", "uk"} <= set(LANGUAGES)
    for lang in LANGUAGES:
        for namespace in NAMESPACES:
            assert read_texts(namespace, lang), f"{namespace}.{lang}.json"


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_no_ukrainian_sentence_ends_with_a_date(namespace: str) -> None:
    # A long Ukrainian date ends with the full stop of "р.", as a Russian one with that of "г.".
    assert [name for name, text in read_texts(namespace, "uk").items() if "{date}." in text] == []


def test_values_in_right_to_left_sentences_are_isolated() -> None:
    arabic, english = Texts("ar", {}), Texts("en", {})
    assert arabic.format("support_title", campaign="The Lantern!") == "ادعم \u2068The Lantern!\u2069"
    assert english.format("support_title", campaign="The Lantern!") == "Support The Lantern!"
    assert arabic.plural("trouble_wait_seconds", 5) == "حاول مرة أخرى بعد 5 ثوانٍ."
    assert arabic.plural("trouble_wait_seconds", 2) == "حاول مرة أخرى بعد ثانيتين."


@pytest.mark.parametrize(
    ("lang", "amount", "date"),
    [
        ("en", "$1,234.50", "December 23, 2026"),
        ("ru", "1 234,50 $", "23 декабря 2026 г."),
        ("uk", "1 234,50 USD", "23 грудня 2026 р."),
        ("de", "1.234,50 $", "23. Dezember 2026"),
        ("fr", "1 234,50 $US", "23 décembre 2026"),
        ("es", "1234,50 US$", "23 de diciembre de 2026"),
        ("pl", "1234,50 USD", "23 grudnia 2026"),
        # European digits, as most Arabic newspapers on the web print them.
        ("ar", "\u200f1,234.50 US$\u200e", "23 ديسمبر 2026"),
        ("ar-EG", "\u200f1,234.50 US$\u200e", "23 ديسمبر 2026"),
    ],
)
def test_amounts_and_dates_follow_cldr(lang: str, amount: str, date: str) -> None:
    def with_plain_spaces(text: str) -> str:
        return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")

    assert with_plain_spaces(format_money(Money(123450, "USD"), lang)) == amount
    assert with_plain_spaces(format_long_date(datetime.date(2026, 12, 23), lang)) == date
