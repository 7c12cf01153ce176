"""Round trips of every amount from 0 to 100,000 minor units, in currencies with zero, two and three decimals."""

import pytest

from service.domain.money import Money, exponent, format_input_amount, format_major_units, format_money
from service.domain.money_input import parse_amount

DECIMALS = {"JPY": 0, "USD": 2, "KWD": 3}
SEPARATORS = {"en": ".", "ru": ","}
ALL_AMOUNTS = range(100_001)


@pytest.mark.parametrize(("currency", "digits"), DECIMALS.items())
def test_major_units_hold_exactly_the_minor_units(currency: str, digits: int) -> None:
    assert exponent(currency) == digits
    for amount in ALL_AMOUNTS:
        whole, _, decimals = format_major_units(Money(amount, currency)).partition(".")
        assert len(decimals) == digits
        assert int(whole) * 10**digits + int(decimals or 0) == amount


@pytest.mark.parametrize("lang", SEPARATORS)
@pytest.mark.parametrize("currency", DECIMALS)
def test_form_field_value_parses_back(currency: str, lang: str) -> None:
    for amount in ALL_AMOUNTS:
        assert (
            parse_amount(format_input_amount(Money(amount, currency), lang), currency=currency, lang=lang)
            == amount
        )


# Babel formats the amounts in both languages. The second one is sampled.
@pytest.mark.parametrize(("lang", "step"), [("en", 1), ("ru", 13)])
@pytest.mark.parametrize(("currency", "digits"), DECIMALS.items())
def test_formatted_amount_holds_exactly_the_minor_units(currency: str, digits: int, lang: str, step: int) -> None:
    for amount in ALL_AMOUNTS[::step]:
        formatted = format_money(Money(amount, currency), lang)
        figures = "".join(
            character for character in formatted if character.isdecimal() or character == SEPARATORS[lang]
        )
        whole, _, decimals = figures.partition(SEPARATORS[lang])
        assert len(decimals) in (0, digits)
        assert int(whole) * 10**digits + int(decimals or 0) == amount
