"""Reading an amount that a person typed: the cases of `tests/amounts.json`, which the widget's tests run too."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.domain.errors import UnparsableAmount
from service.domain.money import Money, exponent, format_input_amount, format_money
from service.domain.money_input import parse_amount

TABLE = json.loads((Path(__file__).parents[1] / "amounts.json").read_text(encoding="utf-8"))
STEPS = {currency: rule["step"] for currency, rule in TABLE["currencies"].items()}


def cases(outcome: str) -> list[dict]:
    """Return the cases with this outcome: "minor", "suggestion" or "error"."""
    found = [case for case in TABLE["cases"] if outcome in case]
    assert len(found) > 15
    return found


def case_id(case: dict) -> str:
    return f"{case['typed']!r} in {case['locale']}, {case['currency']}"


def parse(case: dict, text: str | None = None) -> int:
    typed = case["typed"] if text is None else text
    return parse_amount(typed, currency=case["currency"], lang=case["locale"], step_minor=STEPS[case["currency"]])


def test_the_table_has_the_decimals_of_the_service() -> None:
    for currency, rule in TABLE["currencies"].items():
        assert exponent(currency) == rule["exponent"]
    assert sum(len(cases(outcome)) for outcome in ("minor", "suggestion", "error")) == len(TABLE["cases"])


@pytest.mark.parametrize("case", cases("minor"), ids=case_id)
def test_amount_is_read_as_its_locale_writes_it(case: dict) -> None:
    assert parse(case) == case["minor"]


@pytest.mark.parametrize("case", cases("suggestion"), ids=case_id)
def test_amount_in_another_notation_is_suggested_and_not_taken(case: dict) -> None:
    with pytest.raises(UnparsableAmount) as raised:
        parse(case)
    assert (raised.value.text_name, raised.value.suggested_minor) == ("amount_suggested", case["suggestion"])
    written = format_input_amount(Money(case["suggestion"], case["currency"]), case["locale"])
    assert written.rstrip("0") == case["text"].rstrip("0")
    assert parse(case, written) == case["suggestion"]


@pytest.mark.parametrize("case", cases("error"), ids=case_id)
def test_other_text_is_refused_with_a_reason(case: dict) -> None:
    with pytest.raises(UnparsableAmount) as raised:
        parse(case)
    error = raised.value
    assert (error.text_name, error.suggested_minor, error.field) == (case["error"], None, "amount")
    assert error.detail.endswith(".")
    if "example" in case:
        assert error.values["example"] == case["example"]
        assert case["example"] in error.detail
        assert parse(case, case["example"]) > 0


def test_text_of_any_length_is_refused() -> None:
    for text in ("9" * 5000, "$" * 5000, " " * 101 + "5"):
        with pytest.raises(UnparsableAmount):
            parse_amount(text, currency="USD", lang="en")


@settings(max_examples=600, deadline=None)
@given(
    text=st.text(st.sampled_from("0123456789.,' $€-−e٫٬٣²\u00a0\u202f\u200f"), max_size=20) | st.text(max_size=20),
    currency=st.sampled_from(["USD", "JPY", "KWD"]),
    lang=st.sampled_from(["en", "ru", "de", "ar", "fa", "de-CH", "fr", "zz"]),
)
@example(text=",.", currency="USD", lang="en")
def test_any_text_is_an_amount_or_refused(text: str, currency: str, lang: str) -> None:
    with suppress(UnparsableAmount):
        assert parse_amount(text, currency=currency, lang=lang) >= 0


@settings(max_examples=300, deadline=None)
@given(
    amount=st.integers(0, 10**9),
    currency=st.sampled_from(["USD", "EUR", "RUB", "JPY", "KWD", "CHF", "CAD", "SEK"]),
    lang=st.sampled_from(["en", "ru", "uk", "de", "fr", "es", "pl", "ar", "de-CH", "en-IN"]),
)
def test_amount_that_the_service_wrote_is_read_back(amount: int, currency: str, lang: str) -> None:
    for written in (
        format_money(Money(amount, currency), lang),
        format_input_amount(Money(amount, currency), lang),
    ):
        assert parse_amount(written, currency=currency, lang=lang) == amount


@given(st.integers(1, 999), st.integers(0, 999), st.sampled_from(["en", "ru", "de", "fr", "ar", "pl"]))
def test_three_decimals_are_never_thousands(front: int, last: int, lang: str) -> None:
    mark = "." if lang in ("en", "ar") else ","
    with pytest.raises(UnparsableAmount) as raised:
        parse_amount(f"{front}{mark}{last:03}", currency="USD", lang=lang)
    assert (raised.value.text_name, raised.value.suggested_minor) == ("amount_decimals", None)
