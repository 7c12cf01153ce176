"""Validation and defaults of campaign files that involve several fields."""

import pytest
from marshmallow import ValidationError

from schemas.campaign import MAX_REMINDER_NOTE_LENGTH, CampaignFile

SHORT = {"slug": "spring", "name": "The Lantern", "heading": "Spring", "message": ["Help."]}


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_default_amounts_require_two_decimals(currency: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        CampaignFile().load(SHORT | {"currency": currency})
    assert refusal.value.messages == {
        "frequencies": [f"Give amounts in {currency}; the usual ones are in dollars."]
    }
    yen = {"frequency": "once", "presets": [1000, 3000], "minimum": 300}
    assert CampaignFile().load(SHORT | {"currency": currency, "frequencies": [yen]})["currency"] == currency


def test_default_minimum_is_two_dollars() -> None:
    choices = CampaignFile().load(SHORT)["frequencies"]
    assert [(choice["frequency"].value, choice["minimum"]) for choice in choices] == [
        ("once", 200),
        ("monthly", 200),
        ("annual", 200),
    ]


@pytest.mark.parametrize(
    ("given", "normalised"),
    [
        ("https://paper.example", "https://paper.example"),
        ("https://paper.example/", "https://paper.example"),
        ("https://Paper.Example", "https://paper.example"),
        ("http://LOCALHOST:3000/", "http://localhost:3000"),
        ("*", "*"),
    ],
)
def test_origin_is_normalised(given: str, normalised: str) -> None:
    assert CampaignFile().load(SHORT | {"origins": [given]})["origins"] == [normalised]


def test_return_host_is_lower_case() -> None:
    assert CampaignFile().load(SHORT | {"return_hosts": ["Paper.Example"]})["return_hosts"] == ["paper.example"]


def text_error(lang: str, **texts: str) -> object:
    """Return the error of a campaign's own texts in a language."""
    with pytest.raises(ValidationError) as refusal:
        CampaignFile().load(SHORT | {"texts": {lang: texts}})
    return refusal.value.messages["texts"][lang]


@pytest.mark.parametrize(
    ("lang", "categories"),
    [
        ("en", "one other"),
        ("ru", "one few many other"),
        ("ar", "zero one two few many other"),
        ("ja", "other"),
    ],
)
def test_texts_may_have_the_plural_forms_of_their_language(lang: str, categories: str) -> None:
    texts = {f"try_again_in_{category}": f"{category} {{count}}" for category in categories.split()}
    assert CampaignFile().load(SHORT | {"texts": {lang: texts}})["texts"] == {lang: texts}


@pytest.mark.parametrize("name", ["try_again_in_few", "try_again_in"])
def test_wrong_plural_form_is_refused_with_those_of_the_language(name: str) -> None:
    assert text_error("en", **{name: "Wait {count} s"}) == {
        name: ["This text depends on a number. In 'en' its forms are try_again_in_one, try_again_in_other."]
    }


def test_wrong_placeholder_in_a_plural_form_is_refused() -> None:
    assert text_error("ru", try_again_in_few="Через {seconds} с") == {
        "try_again_in_few": ["Unknown placeholder: seconds. Allowed: {count}."]
    }


def test_a_reminder_note_is_short_enough_for_a_small_email() -> None:
    longest = "й" * MAX_REMINDER_NOTE_LENGTH
    texts = {"ru": {"reminder_note": longest}}
    assert CampaignFile().load(SHORT | {"texts": texts})["texts"] == texts
    with pytest.raises(ValidationError) as refusal:
        CampaignFile().load(SHORT | {"texts": {"ru": {"reminder_note": longest + "й"}}})
    assert "Use at most 1000 characters" in str(refusal.value.messages)
