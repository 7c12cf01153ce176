"""Parsing an amount that a reader typed: by their locale, or refused with a hint."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.domain.errors import UnparsableAmount
from service.domain.money_input import parse_amount

NBSP = "\N{NO-BREAK SPACE}"
NARROW_NBSP = "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("text", "currency", "lang", "amount"),
    [
        ("2", "USD", "en", 200),
        ("7.50", "USD", "en", 750),
        ("7.5", "USD", "en", 750),
        ("007", "USD", "en", 700),
        ("1000", "USD", "en", 100_000),
        ("7,50", "USD", "ru", 750),
        ("7,50", "EUR", "de", 750),
        ("7.50", "CHF", "de-CH", 750),
        ("7,50", "EUR", "de-AT", 750),
        ("500", "JPY", "ja", 500),
        ("1.500", "KWD", "en", 1500),
        ("1.5", "KWD", "en", 1500),
        ("  7.50\t", "USD", "en", 750),
        (f"{NBSP}7.50{NARROW_NBSP}", "USD", "en", 750),
        ("$7.50", "USD", "en", 750),
        ("$ 7.50", "USD", "en", 750),
        (f"7,50{NBSP}$", "USD", "ru", 750),
        ("7.50 USD", "USD", "en", 750),
        ("usd 7.50", "USD", "en", 750),
        ("$7.50 USD", "USD", "en", 750),
        ("US$7.50", "USD", "en-GB", 750),
        ("$5", "CAD", "en", 500),
        ("500 ₽", "RUB", "ru", 50_000),
        ("500 kr", "SEK", "sv", 50_000),
        ("٧٫٥٠", "USD", "ar", 750),
        ("۷٫۵۰", "USD", "fa", 750),
        ("७.५०", "INR", "hi", 750),
        ("５００", "JPY", "ja", 500),
        ("\u200f7.50\u200e", "USD", "ar", 750),
        ("7.50", "USD", "tlh", 750),
        ("7.50", "USD", "", 750),
        ("999999999999999", "USD", "en", 99_999_999_999_999_900),
    ],
)
def test_amount_is_parsed_as_the_locale_writes_it(text, currency, lang, amount):
    assert parse_amount(text, currency=currency, lang=lang) == amount


@pytest.mark.parametrize(
    ("text", "currency", "lang", "hint"),
    [
        # Ambiguous: a thousand or one.
        ("1.000", "USD", "en", "write 1000,"),
        ("1,000", "USD", "en", "write 1000,"),
        ("1.000", "EUR", "de", "write 1000,"),
        ("1,000", "EUR", "de", "write 1000,"),
        ("1 000", "RUB", "ru", "write 1000,"),
        (f"1{NBSP}000", "RUB", "ru", "write 1000,"),
        ("1’000", "CHF", "de-CH", "write 1000,"),
        ("1.000.000", "USD", "en", "write 1000000,"),
        ("1,000", "JPY", "ja", "write 1000,"),
        ("1,500", "KWD", "en", "write 1500 or 1.500,"),
        ("١٬٠٠٠", "USD", "ar", "write 1000,"),
        # The wrong separator, or several.
        ("7,50", "USD", "en", "Enter 7.50,"),
        ("7.50", "USD", "ru", "Enter 7,50,"),
        ("7,5", "USD", "en", "Enter 7.5,"),
        ("1,000.50", "USD", "en", "Enter 1000.50,"),
        ("1.000,50", "EUR", "de", "Enter 1000,50,"),
        ("7.50.", "USD", "en", "Enter 7.50,"),
        (".50", "USD", "en", "Enter 0.50,"),
        ("5.", "USD", "en", "Enter 5,"),
        # More decimals than the currency has.
        ("7.5000", "USD", "en", "at most 2 decimals, for example 7.50"),
        ("0.505", "USD", "en", "at most 2 decimals, for example 7.50"),
        ("1.2345", "KWD", "en", "at most 3 decimals, for example 7.500"),
        ("7.5", "JPY", "en", "no decimals in this currency, for example 7."),
        # Negative.
        ("-5", "USD", "en", "without a minus sign"),
        ("−5", "USD", "en", "without a minus sign"),
        ("-$5", "USD", "en", "without a minus sign"),
        ("$-5", "USD", "en", "without a minus sign"),
        ("5-", "USD", "en", "without a minus sign"),
        # Empty.
        ("", "USD", "en", "Enter an amount, for example 7.50"),
        (f" {NBSP} ", "USD", "ru", "Enter an amount, for example 7,50"),
        ("$", "USD", "en", "Enter an amount, for example 7.50"),
        # Not an amount.
        ("five", "USD", "en", "digits only, for example 7.50"),
        ("1e3", "USD", "en", "digits only"),
        ("1E3", "USD", "en", "digits only"),
        ("0x10", "USD", "en", "digits only"),
        ("1_000", "USD", "en", "digits only"),
        ("+5", "USD", "en", "digits only"),
        ("(5)", "USD", "en", "digits only"),
        ("5²", "USD", "en", "digits only"),
        ("½", "USD", "en", "digits only"),
        ("NaN", "USD", "en", "digits only"),
        ("∞", "USD", "en", "digits only"),
        ("5%", "USD", "en", "digits only"),
        ("5\n6", "USD", "en", "digits only"),
        ("$$5", "USD", "en", "digits only"),
        ("5 EUR", "USD", "en", "digits only"),
        ("€5", "USD", "en", "digits only"),
        (".", "USD", "en", "digits only"),
        # Too large.
        ("1" * 16, "USD", "en", "too large"),
        ("1" * 14 + ".50", "USD", "en", "too large"),
        ("9" * 5000, "USD", "en", "Enter only the amount"),
    ],
)
def test_unparsable_amount_is_refused_with_a_hint(text, currency, lang, hint):
    with pytest.raises(UnparsableAmount) as error:
        parse_amount(text, currency=currency, lang=lang)
    assert hint in error.value.detail
    assert error.value.detail.endswith(".")
    assert error.value.field == "amount"


@settings(max_examples=600, deadline=None)
@given(
    text=st.text(st.sampled_from("0123456789.,' $€-−e٫٬٣²\u00a0\u202f\u200f"), max_size=20) | st.text(max_size=20),
    currency=st.sampled_from(["USD", "JPY", "KWD"]),
    lang=st.sampled_from(["en", "ru", "de", "ar", "fa", "de-CH", "fr", "zz"]),
)
@example(text=",.", currency="USD", lang="en")
def test_any_text_is_an_amount_or_refused_with_a_sentence(text, currency, lang):
    try:
        amount, hint = parse_amount(text, currency=currency, lang=lang), ""
    except UnparsableAmount as error:
        amount, hint = None, error.detail
    assert hint.endswith(".") if amount is None else amount >= 0


@given(
    st.integers(1, 999), st.sampled_from(".,’ "), st.integers(0, 999), st.sampled_from(["en", "ru", "de", "fr"])
)
def test_group_of_three_digits_is_refused_as_ambiguous(front, separator, last, lang):
    with pytest.raises(UnparsableAmount) as error:
        parse_amount(f"{front}{separator}{last:03}", currency="USD", lang=lang)
    assert f"write {front}{last:03}," in error.value.detail
