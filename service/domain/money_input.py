"""Reading an amount that a person typed, by the rules of their locale and without guessing.

The widget reads amounts in the same way (widget/src/amount.js); both run the cases of tests/amounts.json.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from babel import Locale
from babel.numbers import get_group_symbol

from service.domain.errors import UnparsableAmount
from service.domain.money import (
    Money,
    accepted_symbols,
    decimal_separator,
    exponent,
    format_input_amount,
    format_major_units,
    resolve_locale,
    strip_format_characters,
)

_MAX_DIGITS: Final = 15
_MAX_LENGTH: Final = 100
_PRICE_GROUP: Final = "currencyGroup"  # In CLDR, only where prices differ from other numbers.
_ARABIC_COMMA: Final = "\u060c"
_ARABIC_DECIMAL_SEPARATOR: Final = "\u066b"  # It has this one meaning in every locale, unlike the point and comma.
_WIDE_FORMS: Final = re.compile("[\uff00-\uffef]")
_SPACES: Final = re.compile(r"\s+")
_CODE_BESIDE_NUMBER: Final = re.compile(r"^[a-z]{3}(?=[\s0-9])|(?<=[\s0-9])[a-z]{3}$")
_ONE_MARK: Final = re.compile("[0-9]*[.,][0-9]+")
_DETAILS: Final = {
    "amount_missing": "Enter an amount, for example {example}.",
    "amount_invalid": "Enter only an amount, for example {example}.",
    "amount_currency": "Amounts are in {currency} here; enter just the number, for example {example}.",
    "amount_decimals": "Enter at most {count} decimals, for example {example}.",
    "amount_whole": "Enter an amount without decimals, for example {example}.",
}


@dataclass(frozen=True, slots=True)
class _AmountFormat:
    """How a locale writes amounts in one currency.

    `digits` are the decimals of the currency, and `decimals` those that can be charged.
    """

    currency: str
    digits: int
    decimals: int
    decimal_mark: str
    group_mark: str
    symbols: tuple[str, ...]

    @property
    def example(self) -> str:
        return f"7{self.decimal_mark}{'5'.ljust(self.decimals, '0')}" if self.decimals else "500"

    def read(self, number: str, decimal_mark: str, group_mark: str) -> int | None:
        """Return the amount in minor units, with these marks. A space or apostrophe always groups."""
        match = _number_pattern(decimal_mark, group_mark, self.decimals, self.digits).fullmatch(number)
        if match is None or not any(map(str.isdecimal, number)):
            return None
        whole = re.sub("[^0-9]", "", match["whole"] or "")
        return int(whole + (match["decimals"] or "").ljust(self.digits, "0"))


def parse_amount(text: str, *, currency: str, lang: str, step_minor: int = 1) -> int:
    """Return the amount in minor units: "7.50" in English is 750 cents, and "1,000" is 100,000.

    Surrounding space, the currency's code or symbol at either end, and the digits of any script are accepted. The
    locale decides what separates thousands and decimals. Every amount is a multiple of `step_minor`.

    Raises:
        UnparsableAmount: the locale writes no amount so. It has the text to show, and maybe a suggestion.
        ValueError: `currency` is not an ISO 4217 code.

    """
    style = _amount_format(currency, lang, step_minor)
    number = _strip_currency(_normalize(text[:_MAX_LENGTH], style), style)
    amount = style.read(number, style.decimal_mark, style.group_mark)
    if amount is not None and len(text) <= _MAX_LENGTH:
        return amount
    raise _explain(number, style, lang)


def _explain(number: str, style: _AmountFormat, lang: str) -> UnparsableAmount:
    """Return why a text is no amount of its locale, or what the reader may have meant."""
    name = _error_name(number, style)
    if name is None:
        other = "," if style.decimal_mark == "." else "."
        readings = (style.read(number, style.decimal_mark, other), style.read(number, other, style.decimal_mark))
        found = [amount for amount in readings if amount is not None]
        if len(found) == 1:
            suggestion = format_input_amount(Money(found[0], style.currency), lang)
            return UnparsableAmount(
                f"Did you mean {suggestion}?",
                field="amount",
                text_name="amount_suggested",
                suggested_minor=found[0],
            )
        is_one_number = not found and _ONE_MARK.fullmatch(number)
        name = _too_many_decimals(style) if is_one_number else "amount_invalid"
    values = {"example": style.example, "count": style.decimals, "currency": style.currency}
    return UnparsableAmount(_DETAILS[name].format(**values), field="amount", text_name=name, values=values)


def _error_name(number: str, style: _AmountFormat) -> str | None:
    """Return the name of the error's text; None if the text may be an amount in another notation."""
    if not number:
        return "amount_missing"
    signs = {character for character in number if unicodedata.category(character) == "Sc"}
    names_currency = any(map(str.isdecimal, number)) and _CODE_BESIDE_NUMBER.search(number)
    if names_currency or signs.difference(style.symbols):
        return "amount_currency"
    # One decimal mark of the locale is never a group: "7.555" is not 7,555.
    if re.fullmatch(rf"[0-9]*{re.escape(style.decimal_mark)}[0-9]+", number):
        return _too_many_decimals(style)
    return None


def _too_many_decimals(style: _AmountFormat) -> str:
    return "amount_decimals" if style.decimals else "amount_whole"


def parse_written_amount(text: str, *, currency: str, lang: str) -> int:
    """Return the amount in minor units of a text in a campaign file: "2.00", "$2" and "2 USD" are 200 cents.

    The decimal separator is a point in every language. Digits alone are ambiguous, because a whole number in a
    campaign file means minor units, unless the currency has no other. `lang` adds its signs of the currency.

    Raises:
        UnparsableAmount: the text is not such an amount; the detail says what to write instead.
        ValueError: `currency` is not an ISO 4217 code.

    """
    digits = exponent(currency)
    symbols = {symbol for tag in (lang, "en") for symbol in accepted_symbols(currency, resolve_locale(tag))}
    bare = strip_format_characters(text).strip()
    number = bare
    for symbol in sorted(symbols, key=len, reverse=True):
        if number.startswith(symbol):
            number = number.removeprefix(symbol).lstrip()
            break
        if number.endswith(symbol):
            number = number.removesuffix(symbol).rstrip()
            break
    example = f"2.{'0' * digits}" if digits else "200"
    if not re.fullmatch(r"[0-9.,'_ -]*", number):
        sign = re.sub(r"[0-9.,'_\s-]", "", number)
        raise UnparsableAmount(
            f"{sign[:10]} does not belong in an amount in {currency}; write it like {example}, or with {currency}."
        )
    match = re.fullmatch(rf"([0-9]{{1,{_MAX_DIGITS}}})(?:\.([0-9]+))?", number)
    if match is None:
        raise UnparsableAmount(
            f"Enter the amount like {example}: with a decimal point, and nothing between thousands."
        )
    whole, decimals = match[1], match[2] or ""
    if len(decimals) > digits:
        most = f"at most {digits} decimals" if digits else "no decimals"
        raise UnparsableAmount(f"An amount in {currency} has {most}; write it like {example}.")
    if number == bare and digits and not decimals:
        minor, major = Money(int(whole), currency), Money(int(whole) * 10**digits, currency)
        raise UnparsableAmount(
            f'"{whole}" in quotes can mean {format_major_units(minor)} or {format_major_units(major)} {currency}; '
            f"write {format_major_units(major)}, or a whole number of minor units without quotes."
        )
    return int(whole + decimals.ljust(digits, "0"))


@lru_cache(maxsize=1024)
def _amount_format(currency: str, lang: str, step_minor: int) -> _AmountFormat:
    locale = resolve_locale(lang)
    digits = exponent(currency)
    return _AmountFormat(
        currency=currency,
        digits=digits,
        # A step is a power of ten.
        decimals=digits + 1 - len(str(step_minor)),
        decimal_mark=decimal_separator(locale),
        group_mark=_group_mark(locale),
        symbols=tuple(symbol.lower() for symbol in accepted_symbols(currency, locale)),
    )


def _group_mark(locale: Locale) -> str:
    """Return the mark between thousands. Austria writes a point in prices and a space in other numbers.

    So there, as in browsers, a point before three digits is asked about.
    """
    return " " if _PRICE_GROUP in locale.number_symbols["latn"] else get_group_symbol(locale)


@lru_cache(maxsize=256)
def _number_pattern(decimal_mark: str, group_mark: str, decimals: int, digits: int) -> re.Pattern[str]:
    mark = rf"(?P<mark>[ '’\u066c{re.escape(group_mark)}])"
    whole = rf"(?P<whole>[0-9]+|[1-9][0-9]{{0,2}}{mark}(?:[0-9]{{2,3}}(?P=mark))*[0-9]{{3}})?"
    # A step rules out some decimals unless they are zero.
    fraction = rf"(?P<decimals>[0-9]{{0,{decimals}}}0{{0,{digits - decimals}}})"
    return re.compile(rf"{whole}(?:{re.escape(decimal_mark)}{fraction})?")


def _normalize(text: str, style: _AmountFormat) -> str:
    """Return text in lower case with ASCII digits, ordinary spaces and no direction marks."""
    if not text.isascii():
        text = _WIDE_FORMS.sub(lambda wide: unicodedata.normalize("NFKC", wide[0]), strip_format_characters(text))
        text = "".join(str(unicodedata.decimal(character, character)) for character in text)
        text = text.replace(_ARABIC_COMMA, ",").replace(_ARABIC_DECIMAL_SEPARATOR, style.decimal_mark)
    return _SPACES.sub(" ", text).strip().lower()


def _strip_currency(text: str, style: _AmountFormat) -> str:
    """Remove the currency at either end, and the space beside it."""
    before = next((symbol for symbol in style.symbols if text.startswith(symbol)), "")
    text = text.removeprefix(before)
    after = next((symbol for symbol in style.symbols if text.endswith(symbol)), "")
    return text.removesuffix(after).strip()
