"""Validation and defaults of campaign files that involve several fields."""

import pytest
from marshmallow import ValidationError

from schemas.campaign import CampaignFile

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
