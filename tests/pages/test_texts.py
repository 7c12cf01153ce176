"""The texts of pages and emails are complete and consistent in every language."""

import json
from importlib import resources

import pytest

from schemas.enums import Frequency, PledgeStatus, ReminderStatus
from schemas.translations import load_texts, parse_placeholders
from service.pages.form_errors import FIELD_AND_TEXT_BY_CODE

TEXTS = resources.files("schemas") / "texts"
NAMESPACES = ("offers", "pages", "mails", "me", "notices")


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_russian_has_the_same_texts_and_placeholders_as_english(namespace: str) -> None:
    english, russian = (
        json.loads((TEXTS / f"{namespace}.{lang}.json").read_text("utf-8")) for lang in ("en", "ru")
    )
    assert list(english) == list(russian)
    for name, text in english.items():
        # Both languages need the same placeholders.
        assert parse_placeholders(russian[name]) == parse_placeholders(text), name


@pytest.mark.parametrize("namespace", ["widget", *NAMESPACES])
def test_no_russian_sentence_ends_with_a_date(namespace: str) -> None:
    # A long Russian date ends with the full stop of "г.", so that a sentence would end with two.
    russian = json.loads((TEXTS / f"{namespace}.ru.json").read_text("utf-8"))
    assert [name for name, text in russian.items() if "{date}." in text] == []


def test_text_names_are_unique() -> None:
    names = [name for namespace in ("widget", *NAMESPACES) for name in load_texts(namespace, "en")]
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
