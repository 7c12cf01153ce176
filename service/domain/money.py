"""Money: whole minor units and a currency. No float comes near it."""

import copy
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
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


# Where letters would touch a digit, CLDR puts a no-break space, "KWD 1.500" (UTS 35, Currency Spacing).
# Babel does not, so we do.
_LETTER_BESIDE_NUMBER: Final = re.compile(r"(?<=[^\W\d_])(?=-?\d)|(?<=\d)(?=[^\W\d_])")
GROUP_SIZE: Final = 3
_NO_BREAK_SPACE: Final = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the currency's smallest unit (750 is $7.50) beside its ISO 4217 code.

    Raises:
        TypeError: the amount is not an integer; `True` is not one either.
        ValueError: the code is not a currency.

    """

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int:
            raise TypeError(f"An amount is an integer in minor units, not {type(self.amount_minor).__name__}.")
        if not is_currency(self.currency):
            raise ValueError(f"{self.currency!r} is not an ISO 4217 currency code.")


def format_major_units(money: Money) -> str:
    """Write the amount in major units as a decimal string: "2.00", "7" (yen), "1.500" (Kuwaiti dinar)."""
    digits = exponent(money.currency)
    sign = "-" if money.amount_minor < 0 else ""
    written = str(abs(money.amount_minor)).zfill(digits + 1)
    return f"{sign}{written[:-digits]}.{written[-digits:]}" if digits else f"{sign}{written}"


def format_money(money: Money, lang: str) -> str:
    """Write the amount for people: "$7.50", in Russian "7,50 $"; a whole amount has no cents, "$5".

    `lang` is a BCP 47 tag; an unknown one is written as in English.
    """
    locale = resolve_locale(lang)
    digits = exponent(money.currency)
    is_whole = money.amount_minor % 10**digits == 0
    pattern = currency_pattern(locale, 0 if is_whole else digits)
    # Nobody takes "1 00" for a hundred, which is how one language would group it.
    grouped = pattern.grouping[0] >= GROUP_SIZE
    written: str = pattern.apply(
        Decimal(format_major_units(money)),
        locale,
        currency=money.currency,
        currency_digits=False,
        group_separator=grouped,
    )
    return _LETTER_BESIDE_NUMBER.sub(_NO_BREAK_SPACE, written)


_BASIS_POINTS: Final = 10_000  # basis points in all of a payment


@dataclass(frozen=True, slots=True)
class FeeRate:
    """What is kept of each payment: hundredths of a percent of it, and a fixed amount in minor units.

    Raises:
        ValueError: nothing would be left of any payment, or more than was paid.

    """

    basis_points: int
    fixed_minor: int

    def __post_init__(self) -> None:
        if not 0 <= self.basis_points < _BASIS_POINTS or self.fixed_minor < 0:
            raise ValueError("A share is from 0 to 9999 basis points and a fixed amount of zero or more.")

    def fees_to_cover(self, amount_minor: int, *, step_minor: int = 1) -> int:
        """Return the fees that a reader adds to an amount to cover them, in minor units.

        What is charged then is the smallest whole multiple of `step_minor` of which the newsroom keeps at least
        the amount. The share is taken of the fees too, hence the division.
        """
        kept = _BASIS_POINTS - self.basis_points
        least = _ceil_div((amount_minor + self.fixed_minor) * _BASIS_POINTS, kept)
        return _ceil_div(least, step_minor) * step_minor - amount_minor


def _ceil_div(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
