"""Money: integer minor units, formatted by locale and parsed back, without floats."""

import ast
import re
from pathlib import Path

import pytest
from babel import localedata
from babel.numbers import get_currency_precision, list_currencies
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain import money, money_input
from service.domain.money import Money, exponent, format_major_units, format_money, is_currency
from service.domain.money_input import parse_amount

NBSP = "\N{NO-BREAK SPACE}"
LANGUAGES = sorted(localedata.locale_identifiers())

# CLDR follows the cash in circulation, ISO 4217 the currency's own division. Withdrawn currencies have no cash.
CASH_HAS_NO_DECIMALS = "AFN ALL IQD IRR KPW LAK LBP MGA MMK RSD SOS SYP YER"
WITHDRAWN = "ADP BYR ESP ITL LUF MGF MRO SLL STD TMM TRL ZMK ZWD"


@pytest.mark.parametrize("amount", [7.5, 7.0, "750", True, None])
def test_amount_that_is_not_an_integer_is_refused(amount):
    with pytest.raises(TypeError):
        Money(amount, "USD")


@pytest.mark.parametrize("code", ["", "usd", "US", "USDX", "$", "QQQ", "USD ", "ÜSD"])
def test_unknown_currency_code_is_refused(code):
    assert not is_currency(code)
    with pytest.raises(ValueError, match="ISO 4217"):
        Money(750, code)
    with pytest.raises(ValueError, match="ISO 4217"):
        exponent(code)


@pytest.mark.parametrize(
    ("currency", "digits"),
    [
        ("USD", 2),
        ("EUR", 2),
        ("RUB", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("KWD", 3),
        ("TND", 3),
        ("UYW", 4),
        ("HUF", 2),
        ("RSD", 2),
    ],
)
def test_exponent_is_the_minor_digits_of_iso_4217(currency, digits):
    assert exponent(currency) == digits


def test_exponent_differs_from_babel_only_where_babel_follows_cash():
    different = {code for code in list_currencies() if exponent(code) != get_currency_precision(code)}
    assert different == {*CASH_HAS_NO_DECIMALS.split(), *WITHDRAWN.split()}


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (200, "USD", "2.00"),
        (7, "JPY", "7"),
        (1500, "KWD", "1.500"),
        (5, "USD", "0.05"),
        (0, "USD", "0.00"),
        (0, "JPY", "0"),
        (-705, "EUR", "-7.05"),
        (-5, "KWD", "-0.005"),
        (9007199254740993, "USD", "90071992547409.93"),
    ],
)
def test_major_units_have_every_decimal(amount, currency, written):
    assert format_major_units(Money(amount, currency)) == written


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
def test_major_units_up_to_100_000_parse_back(currency):
    for amount in range(100_001):
        assert parse_amount(format_major_units(Money(amount, currency)), currency=currency, lang="en") == amount


@pytest.mark.parametrize(
    ("amount", "currency", "lang", "written"),
    [
        (750, "USD", "en", "$7.50"),
        (500, "USD", "en", "$5"),
        (505, "USD", "en", "$5.05"),
        (123456, "USD", "en", "$1,234.56"),
        (750, "USD", "ru", f"7,50{NBSP}$"),
        (500, "USD", "ru", f"5{NBSP}$"),
        (50000, "RUB", "ru-RU", f"500{NBSP}₽"),
        (750, "EUR", "de", f"7,50{NBSP}€"),
        (750, "EUR", "pt-BR", f"€{NBSP}7,50"),
        (700, "JPY", "en", "¥700"),
        (1500, "KWD", "en", f"KWD{NBSP}1.500"),
        (1000, "KWD", "en", f"KWD{NBSP}1"),
        (123456, "RSD", "en", f"RSD{NBSP}1,234.56"),
        (750, "USD", "tlh", "$7.50"),
        (750, "USD", "", "$7.50"),
        (750, "USD", "../../etc/passwd", "$7.50"),
        (750, "USD", "x" * 5000, "$7.50"),
        (750, "USD", "ru-x-private", f"7,50{NBSP}$"),
        (750, "USD", "en_GB", "US$7.50"),
        (100, "JPY", "tok", "JP¥100"),
    ],
)
def test_money_is_formatted_as_the_language_writes_it(amount, currency, lang, written):
    assert format_money(Money(amount, currency), lang) == written


@settings(max_examples=200, deadline=None)
@given(
    amount=st.integers(0, 99_999),
    currency=st.sampled_from(["USD", "EUR", "RUB", "JPY", "KWD", "HUF", "CHF", "CAD", "SEK"]),
    lang=st.sampled_from(LANGUAGES),
)
def test_formatted_money_parses_back(amount, currency, lang):
    below_a_thousand = amount % (1000 * 10 ** exponent(currency))
    written = format_money(Money(below_a_thousand, currency), lang)
    assert parse_amount(written, currency=currency, lang=lang) == below_a_thousand


@settings(max_examples=200, deadline=None)
@given(
    amount=st.integers(0, 10**12),
    currency=st.sampled_from(sorted(list_currencies())),
    lang=st.sampled_from(LANGUAGES),
)
def test_formatting_loses_no_unit_in_any_currency_or_language(amount, currency, lang):
    digits = exponent(currency)
    written = format_major_units(Money(amount, currency))
    assert int(written.replace(".", "")) == amount
    assert len(written.partition(".")[2]) == digits
    formatted = format_money(Money(amount, currency), lang)
    figures = "".join(re.findall(r"[0-9]", formatted))
    assert int(figures) in (amount, amount // 10**digits)


@pytest.mark.parametrize("module", [money, money_input])
def test_money_uses_no_float(module):
    for node in ast.walk(ast.parse(Path(module.__file__).read_text("utf-8"))):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float | complex)), ast.dump(node)
        assert not (isinstance(node, ast.Name) and node.id in {"float", "round"}), ast.dump(node)
        assert not (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)), ast.dump(node)
