"""Every amount from 0 to 100,000 minor units, with no decimals, two and three: nothing is lost."""

import pytest

from service.domain.money import Money, exponent, format_major_units, format_money
from service.domain.money_input import parse_amount
from service.pages.formatting import format_input_amount

DECIMALS = {"JPY": 0, "USD": 2, "KWD": 3}
POINTS = {"en": ".", "ru": ","}
EVERY = range(100_001)


@pytest.mark.parametrize(("currency", "digits"), DECIMALS.items())
def test_an_export_says_exactly_what_was_counted(currency: str, digits: int) -> None:
    assert exponent(currency) == digits
    for amount in EVERY:
        whole, _, decimals = format_major_units(Money(amount, currency)).partition(".")
        assert len(decimals) == digits
        assert int(whole) * 10**digits + int(decimals or 0) == amount


@pytest.mark.parametrize("lang", POINTS)
@pytest.mark.parametrize("currency", DECIMALS)
def test_what_stands_in_a_field_is_read_back(currency: str, lang: str) -> None:
    for amount in EVERY:
        assert (
            parse_amount(format_input_amount(Money(amount, currency), lang), currency=currency, lang=lang)
            == amount
        )


# How an amount is written is Babel's work in either language; the second is looked at here and there.
@pytest.mark.parametrize(("lang", "step"), [("en", 1), ("ru", 13)])
@pytest.mark.parametrize(("currency", "digits"), DECIMALS.items())
def test_what_people_read_is_that_amount(currency: str, digits: int, lang: str, step: int) -> None:
    for amount in EVERY[::step]:
        written = format_money(Money(amount, currency), lang)
        figures = "".join(sign for sign in written if sign.isdecimal() or sign == POINTS[lang])
        whole, _, decimals = figures.partition(POINTS[lang])
        assert len(decimals) in (0, digits)
        assert int(whole) * 10**digits + int(decimals or 0) == amount
