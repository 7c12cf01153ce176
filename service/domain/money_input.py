"""Reading the amount that a person typed: by their locale, and never by a guess."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from service.domain.errors import UnparsableAmount
from service.domain.money import (
    accepted_symbols,
    decimal_separator,
    exponent,
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
    """How amounts in one currency are written in one language."""

    digits: int
    point: str
    marks: tuple[str, ...]

    @property
    def example(self) -> str:
        return f"7{self.point}{'5'.ljust(self.digits, '0')}" if self.digits else "7"


@lru_cache(maxsize=1024)
def _amount_format(currency: str, lang: str) -> _AmountFormat:
    locale = resolve_locale(lang)
    return _AmountFormat(exponent(currency), decimal_separator(locale), accepted_symbols(currency, locale))


def parse_amount(text: str, *, currency: str, lang: str) -> int:
    """Read what a reader typed as an amount in minor units: "7.50" in English is 750 cents.

    Space around it and the currency's code or symbol at either end are fine, and so are the digits of any script.
    The decimals stand after the locale's own separator, which is the only one allowed. "1.000" is a thousand to
    one reader and one to another, so unless the currency has three decimals it is refused with a hint.

    Raises:
        UnparsableAmount: the text is not such an amount; the detail says what to write instead.
        ValueError: `currency` is not an ISO 4217 code.

    """
    custom = _amount_format(currency, lang)
    if len(text) > _MAX_LENGTH:
        raise UnparsableAmount(f"Write only the amount, for example {custom.example}.", field="amount")
    typed = _strip_currency(text, custom)
    whole, point, decimals = typed.partition(custom.point)
    is_number = _is_digits(whole) and (_is_digits(decimals) or not point)
    if not is_number or len(decimals) > custom.digits or len(whole + decimals) > _MAX_DIGITS:
        raise UnparsableAmount(_error_message(typed, custom), field="amount")
    return int(whole + decimals.ljust(custom.digits, "0"))


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _strip_currency(text: str, custom: _AmountFormat) -> str:
    """Drop the space and the currency around the number, and write its digits in ASCII."""
    bare = text if text.isascii() else strip_format_characters(text)
    bare = bare.strip()
    for mark in custom.marks:
        if bare[: len(mark)].casefold() == mark.casefold():
            bare = bare[len(mark) :].lstrip()
            break
    for mark in custom.marks:
        if bare[-len(mark) :].casefold() == mark.casefold():
            bare = bare[: -len(mark)].rstrip()
            break
    if bare.isascii():
        return bare
    bare = "".join(str(unicodedata.digit(one)) if one.isdecimal() else one for one in bare)
    return bare.replace(_ARABIC_DECIMAL_SEPARATOR, custom.point)


def _error_message(typed: str, custom: _AmountFormat) -> str:
    """Say in one sentence how to write the amount that was refused."""
    if not typed:
        return f"Write an amount, for example {custom.example}."
    if typed[0] in "-−–" or typed[-1] in "-−–":
        return f"Write an amount above zero, without a minus sign, for example {custom.example}."
    if not _DIGITS_AND_SEPARATORS.fullmatch(typed):
        return f"Write the amount in digits only, for example {custom.example}."
    groups = re.findall(r"[0-9]+", typed)
    if len("".join(groups)) > _MAX_DIGITS:
        return f"This amount is too large to accept; write a smaller one, for example {custom.example}."
    return _separator_hint(typed, groups, custom)


def _separator_hint(typed: str, groups: list[str], custom: _AmountFormat) -> str:
    """Say how to write digits that separators split, in groups or before decimals."""
    whole, last = "".join(groups[:-1]), groups[-1]
    if not whole:
        whole, last = (last, "") if typed[0].isdecimal() else ("0", last)
    if len(last) == _THOUSAND and not whole.startswith("0"):
        also = f" or {whole}{custom.point}{last}" if custom.digits == _THOUSAND else ""
        return f"This can be read as more than one amount; write {whole}{last}{also}, with no other separator."
    if len(last) > custom.digits:
        most = f"at most {custom.digits} decimals" if custom.digits else "no decimals in this currency"
        return f"Write {most}, for example {custom.example}."
    if not last:
        return f"Write {whole}, with no separator after it."
    return f"Write {whole}{custom.point}{last}, with “{custom.point}” before the decimals and no other separator."
