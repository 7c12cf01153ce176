"""Parsing an amount that a reader typed, by the rules of their locale and without guessing."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from service.domain.errors import UnparsableAmount
from service.domain.money import (
    Money,
    accepted_symbols,
    decimal_separator,
    exponent,
    format_major_units,
    resolve_locale,
    strip_format_characters,
)

_MAX_DIGITS: Final = 15
_MAX_LENGTH: Final = 100
_THOUSAND: Final = 3  # digits in a group of thousands
_ARABIC_DECIMAL_SEPARATOR: Final = "\u066b"  # It has this one meaning in every locale, unlike the point and comma.
_DIGITS_AND_SEPARATORS: Final = re.compile(r"[0-9][0-9.,'’ \u00a0\u2009\u202f\u066b\u066c]*|[.,\u066b][0-9]+")


@dataclass(frozen=True, slots=True)
class _AmountFormat:
    """The format of amounts in one currency and one language: decimals, separator and accepted symbols."""

    digits: int
    separator: str
    symbols: tuple[str, ...]

    @property
    def example(self) -> str:
        return f"7{self.separator}{'5'.ljust(self.digits, '0')}" if self.digits else "7"


def parse_amount(text: str, *, currency: str, lang: str) -> int:
    """Return the amount in minor units: "7.50" in English is 750 cents.

    Surrounding space, the currency's code or symbol at either end, and the digits of any script are accepted. The
    locale's decimal separator is the only one allowed. "1.000" means a thousand to one reader and one to another,
    so unless the currency has three decimals it is refused with a hint.

    Raises:
        UnparsableAmount: the text is not such an amount; the detail says what to write instead.
        ValueError: `currency` is not an ISO 4217 code.

    """
    style = _amount_format(currency, lang)
    if len(text) > _MAX_LENGTH:
        raise UnparsableAmount(f"Enter only the amount, for example {style.example}.", field="amount")
    typed = _strip_currency(text, style)
    whole, separator, decimals = typed.partition(style.separator)
    is_number = _is_digits(whole) and (_is_digits(decimals) or not separator)
    if not is_number or len(decimals) > style.digits or len(whole + decimals) > _MAX_DIGITS:
        raise UnparsableAmount(_error_message(typed, style), field="amount")
    return int(whole + decimals.ljust(style.digits, "0"))


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
def _amount_format(currency: str, lang: str) -> _AmountFormat:
    locale = resolve_locale(lang)
    return _AmountFormat(exponent(currency), decimal_separator(locale), accepted_symbols(currency, locale))


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _strip_currency(text: str, style: _AmountFormat) -> str:
    """Remove the space and the currency around the number, and convert its digits to ASCII."""
    bare = text if text.isascii() else strip_format_characters(text)
    bare = bare.strip()
    for symbol in style.symbols:
        if bare[: len(symbol)].casefold() == symbol.casefold():
            bare = bare[len(symbol) :].lstrip()
            break
    for symbol in style.symbols:
        if bare[-len(symbol) :].casefold() == symbol.casefold():
            bare = bare[: -len(symbol)].rstrip()
            break
    if bare.isascii():
        return bare
    bare = "".join(str(unicodedata.digit(character)) if character.isdecimal() else character for character in bare)
    return bare.replace(_ARABIC_DECIMAL_SEPARATOR, style.separator)


def _error_message(typed: str, style: _AmountFormat) -> str:
    """Return one sentence that says how to write the refused amount."""
    if not typed:
        return f"Enter an amount, for example {style.example}."
    if typed[0] in "-−–" or typed[-1] in "-−–":
        return f"Enter an amount above zero, without a minus sign, for example {style.example}."
    if not _DIGITS_AND_SEPARATORS.fullmatch(typed):
        return f"Enter the amount in digits only, for example {style.example}."
    groups = re.findall(r"[0-9]+", typed)
    if len("".join(groups)) > _MAX_DIGITS:
        return f"This amount is too large; enter a smaller one, for example {style.example}."
    return _separator_hint(typed, groups, style)


def _separator_hint(typed: str, groups: list[str], style: _AmountFormat) -> str:
    """Return how to write digits that separators split into groups or decimals."""
    whole, last = "".join(groups[:-1]), groups[-1]
    if not whole:
        whole, last = (last, "") if typed[0].isdecimal() else ("0", last)
    if len(last) == _THOUSAND and not whole.startswith("0"):
        also = f" or {whole}{style.separator}{last}" if style.digits == _THOUSAND else ""
        return f"This can be read as more than one amount; write {whole}{last}{also}, with no other separator."
    if len(last) > style.digits:
        most = f"at most {style.digits} decimals" if style.digits else "no decimals in this currency"
        return f"Enter {most}, for example {style.example}."
    if not last:
        return f"Enter {whole}, with no separator after it."
    separator = style.separator
    return f"Enter {whole}{separator}{last}, with “{separator}” before the decimals and no other separator."
