"""The words of pages and mails: the same promises in every language."""

import json
from importlib import resources

import pytest

from schemas.enums import Frequency, PledgeStatus, ReminderStatus
from schemas.translations import load_texts, parse_placeholders
from service.pages.form_errors import FIELD_AND_TEXT_BY_CODE

TEXTS = resources.files("schemas") / "texts"
PLACES_WITH_WORDS = ("offers", "pages", "mails", "me", "notices")


@pytest.mark.parametrize("place", PLACES_WITH_WORDS)
def test_russian_says_all_that_english_says(place: str) -> None:
    english, russian = (json.loads((TEXTS / f"{place}.{lang}.json").read_text("utf-8")) for lang in ("en", "ru"))
    assert list(english) == list(russian)
    for name, text in english.items():
        # A title may say itself what a text fills in; the rest needs the same names.
        assert parse_placeholders(russian[name]) == parse_placeholders(text), name


def test_no_name_means_two_texts() -> None:
    names = [name for place in ("widget", *PLACES_WITH_WORDS) for name in load_texts(place, "en")]
    assert len(names) == len(set(names))


def test_everything_that_is_said_by_name_has_words() -> None:
    pages, widget, mails = load_texts("pages", "en"), load_texts("widget", "en"), load_texts("mails", "en")
    for frequency in Frequency:
        assert {f"gift_{frequency}", f"presets_{frequency}", f"thanks_{frequency}"} <= pages.keys()
        assert frequency in widget
        assert f"mail_give_{frequency}" in mails
    for status in ReminderStatus:
        assert {f"reminder_{status}", f"reminder_{status}_title"} <= pages.keys()
    for status in PledgeStatus:
        if status not in ("completed", "active", "past_due"):
            assert {f"thanks_{status}", f"thanks_{status}_title"} <= pages.keys()
    for _, text in FIELD_AND_TEXT_BY_CODE.values():
        assert text in pages | widget
