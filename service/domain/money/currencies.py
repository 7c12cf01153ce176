"""What a currency is called, how it is divided, and how people write it in a language."""

import copy
import unicodedata
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.numbers import NumberPattern, get_currency_symbol, get_decimal_symbol, list_currencies

_CODES: Final = frozenset(list_currencies())

# Minor digits of ISO 4217 (list one); every other currency has two. Babel's own table is not asked: it follows the
# cash in the shops (no decimals for the Serbian dinar) and changes from release to release, while the meaning of
# a stored amount must never change, and processors count by ISO.
_MINOR_DIGITS: Final = {
    code: digits
    for digits, codes in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for code in codes.split()
}

_ENGLISH: Final = "en"
_LONGEST_LANGUAGE_TAG: Final = 35  # RFC 5646, section 4.4.1


def is_currency(code: str) -> bool:
    """Tell whether this is an ISO 4217 code, in capitals, that Babel can name."""
    return code in _CODES


def exponent(currency: str) -> int:
    """Return how many decimals the currency has: 2 for USD, 0 for JPY, 3 for KWD (ISO 4217 minor digits).

    Raises:
        ValueError: the code is not a currency.

    """
    if not is_currency(currency):
        raise ValueError(f"{currency!r} is not an ISO 4217 currency code.")
    return _MINOR_DIGITS.get(currency, 2)


@lru_cache(maxsize=256)
def resolve_locale(lang: str) -> Locale:
    """Return the locale of a BCP 47 language tag, else of its first part, else English: it never fails."""
    tag = lang.replace("_", "-") if len(lang) <= _LONGEST_LANGUAGE_TAG else _ENGLISH
    for candidate in (tag, tag.partition("-")[0]):
        try:
            return Locale.parse(candidate, sep="-")
        except (ValueError, UnknownLocaleError):
            continue
    return Locale.parse(_ENGLISH)


def decimal_separator(locale: Locale) -> str:
    """Return what stands before the decimals: a point in English, a comma in Russian."""
    return get_decimal_symbol(locale)


@lru_cache(maxsize=1024)
def accepted_symbols(currency: str, locale: Locale) -> tuple[str, ...]:
    """Return what readers may write for the currency, longest first: its code, its symbols, the bare sign of one.

    A Canadian campaign in British English is written "CA$"; its readers write "$", and can mean no other dollar.
    """
    symbols = {get_currency_symbol(currency, locale), get_currency_symbol(currency, _ENGLISH)}
    signs = {sign for symbol in symbols for sign in symbol if unicodedata.category(sign) == "Sc"}
    return tuple(sorted({currency, *map(strip_format_characters, symbols), *signs}, key=len, reverse=True))


@lru_cache(maxsize=1024)
def currency_pattern(locale: Locale, decimals: int) -> NumberPattern:
    """Return the pattern in which the locale writes money, with exactly so many decimals."""
    pattern: NumberPattern = copy.copy(locale.currency_formats["standard"])
    pattern.frac_prec = (decimals, decimals)
    return pattern


def strip_format_characters(text: str) -> str:
    """Drop the direction marks and joiners (Unicode category Cf) that come along with copied text."""
    return "".join(character for character in text if unicodedata.category(character) != "Cf")
