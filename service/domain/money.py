"""Money as integer minor units and a currency, its formatting by locale, and fees. No float is involved."""

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

# Minor digits of ISO 4217 (list one); every other currency has two. Babel's own table follows the cash in
# circulation (no decimals for the Serbian dinar) and changes between releases. The meaning of a stored amount must
# never change, and payment providers follow ISO 4217.
_MINOR_DIGITS: Final = {
    code: digits
    for digits, codes in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for code in codes.split()
}

# The narrow symbols of CLDR, which Babel does not have, where they are not a sign of the standard symbol.
_NARROW_SYMBOLS_TABLE: Final = """
AFN:؋ AMD:֏ AOA:Kz ARS:$ AZN:₼ BAM:KM BBD:$ BDT:৳ BMD:$ BND:$ BOB:Bs BSD:$ BWP:P BZD:$ CLP:$ COP:$ CRC:₡ CUP:$
CZK:Kč DKK:kr DOP:$ EGP:E£ FJD:$ FKP:£ GEL:₾ GHS:GH₵ GIP:£ GNF:FG GTQ:Q GYD:$ HNL:L HUF:Ft IDR:Rp ISK:kr JMD:$
KHR:៛ KMF:CF KYD:$ KZT:₸ LAK:₭ LBP:L£ LKR:Rs LRD:$ MGA:Ar MMK:K MNT:₮ MUR:Rs MYR:RM NAD:$ NGN:₦ NIO:C$ NOK:kr
NPR:Rs PKR:Rs PLN:zł PYG:₲ RON:lei RUB:₽ RWF:RF SBD:$ SEK:kr SGD:$ SHP:£ SRD:$ SSP:£ SYP:£ THB:฿ TOP:T$ TRY:₺
TTD:$ UAH:₴ UYU:$ XCG:Cg. ZAR:R ZMW:ZK
"""
_NARROW_SYMBOLS: Final = dict(pair.split(":") for pair in _NARROW_SYMBOLS_TABLE.split())

_ENGLISH: Final = "en"
_MAX_LANGUAGE_TAG_LENGTH: Final = 35  # RFC 5646, section 4.4.1
# CLDR puts a no-break space between letters and digits, "KWD 1.500" (UTS 35, Currency Spacing). Babel does not.
_LETTER_BESIDE_NUMBER: Final = re.compile(r"(?<=[^\W\d_])(?=-?\d)|(?<=\d)(?=[^\W\d_])")
_COUNTRY_IN_SYMBOL: Final = re.compile("[A-Z]{2}")
GROUP_SIZE: Final = 3
_SIGN_AFTER_LETTER: Final = re.compile(r"(?<=[A-Z])[$£¥]$")
_GROUP_FROM_FIVE_DIGITS: Final = frozenset(("be", "bg", "et", "hu", "hy", "it", "ka", "lv", "pl", "sl", "sq"))
_NO_BREAK_SPACE: Final = "\N{NO-BREAK SPACE}"
_BASIS_POINTS: Final = 10_000  # 100 %


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the currency's smallest unit (750 is $7.50) and the ISO 4217 code.

    Raises:
        TypeError: the amount is not an integer; a boolean is not accepted.
        ValueError: the code is not a currency.

    """

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int:
            raise TypeError(f"An amount is an integer in minor units, not {type(self.amount_minor).__name__}.")
        if not is_currency(self.currency):
            raise ValueError(f"{self.currency!r} is not an ISO 4217 currency code.")


@dataclass(frozen=True, slots=True)
class FeeRate:
    """The gateway's fee for each payment: basis points of it, and a fixed amount in minor units.

    Raises:
        ValueError: the rate is negative, or nothing would be left of a payment.

    """

    basis_points: int
    fixed_minor: int

    def __post_init__(self) -> None:
        if not 0 <= self.basis_points < _BASIS_POINTS or self.fixed_minor < 0:
            raise ValueError("A fee rate is from 0 to 9999 basis points and a fixed amount of zero or more.")

    def fees_to_cover(self, amount_minor: int, *, step_minor: int = 1) -> int:
        """Return the fees to add to an amount so that the newsroom keeps all of it, in minor units.

        The total is the smallest multiple of `step_minor` of which at least the amount is left after fees. The
        rate applies to the added fees too, hence the division.
        """
        net_basis_points = _BASIS_POINTS - self.basis_points
        total = _ceil_div((amount_minor + self.fixed_minor) * _BASIS_POINTS, net_basis_points)
        return _ceil_div(total, step_minor) * step_minor - amount_minor


def is_currency(code: str) -> bool:
    """Whether this is an ISO 4217 code, in capitals, that Babel knows."""
    return code in _CODES


def exponent(currency: str) -> int:
    """Return the currency's number of decimals: 2 for USD, 0 for JPY, 3 for KWD (ISO 4217 minor digits).

    Raises:
        ValueError: the code is not a currency.

    """
    if not is_currency(currency):
        raise ValueError(f"{currency!r} is not an ISO 4217 currency code.")
    return _MINOR_DIGITS.get(currency, 2)


def format_major_units(money: Money) -> str:
    """Return the amount in major units as a decimal string: "2.00", "7" (yen), "1.500" (Kuwaiti dinar)."""
    digits = exponent(money.currency)
    sign = "-" if money.amount_minor < 0 else ""
    figures = str(abs(money.amount_minor)).zfill(digits + 1)
    return f"{sign}{figures[:-digits]}.{figures[-digits:]}" if digits else f"{sign}{figures}"


def format_exact_money(money: Money, lang: str) -> str:
    """Return the amount with all its decimals and the currency's code: "$2.00 USD", "500 CHF".

    The code follows a symbol that several currencies share, and none that names its country, such as "US$".
    """
    shown = _format(money, resolve_locale(lang), exponent(money.currency))
    return shown if _COUNTRY_IN_SYMBOL.search(shown) else f"{shown}{_NO_BREAK_SPACE}{money.currency}"


def format_money(money: Money, lang: str) -> str:
    """Return the amount as the language writes it: "$7.50", "7,50 $"; a whole amount has no cents, "$5".

    `lang` is a BCP 47 tag; an unknown one falls back to English.
    """
    digits = exponent(money.currency)
    is_whole = money.amount_minor % 10**digits == 0
    return _format(money, resolve_locale(lang), 0 if is_whole else digits)


def _format(money: Money, locale: Locale, decimals: int) -> str:
    pattern = currency_pattern(locale, decimals)
    # One locale groups two digits, so that 100 would be "1 00".
    use_grouping = pattern.grouping[0] >= GROUP_SIZE and (
        abs(money.amount_minor) >= 10 ** (exponent(money.currency) + 4)
        or not _leaves_four_digits_ungrouped(locale)
    )
    formatted: str = pattern.apply(
        Decimal(format_major_units(money)),
        locale,
        currency=money.currency,
        currency_digits=False,
        group_separator=use_grouping,
    )
    return keep_symbol_together(_LETTER_BESIDE_NUMBER.sub(_NO_BREAK_SPACE, formatted), locale)


@lru_cache(maxsize=256)
def resolve_locale(lang: str) -> Locale:
    """Return the locale of a BCP 47 language tag, else of its first subtag, else English."""
    tag = lang.replace("_", "-") if len(lang) <= _MAX_LANGUAGE_TAG_LENGTH else _ENGLISH
    for candidate in (tag, tag.partition("-")[0]):
        try:
            return Locale.parse(candidate, sep="-")
        except (ValueError, UnknownLocaleError):
            continue
    return Locale.parse(_ENGLISH)


def regional_language(lang: str, campaign_lang: str) -> str:
    """Return the language, with the campaign's region if that is the same language: "en-GB"."""
    language, _, region = lang.partition("-")
    return lang if region or campaign_lang.partition("-")[0] != language else campaign_lang


def keep_symbol_together(text: str, locale: Locale) -> str:
    """Return the text with a direction mark after "US$" in a right-to-left locale, which would show "$US" else."""
    return _SIGN_AFTER_LETTER.sub("\\g<0>\u200e", text) if locale.text_direction == "rtl" else text


def _leaves_four_digits_ungrouped(locale: Locale) -> bool:
    """Whether the locale writes "1234" and "12.345" (CLDR minimumGroupingDigits, which Babel does not have)."""
    return locale.language in _GROUP_FROM_FIVE_DIGITS or str(locale) in ("es", "es_ES", "pt_PT")


def format_input_amount(money: Money, lang: str) -> str:
    """Return an amount in the language's notation, without a symbol: "7.50", in Russian "7,50"; "5" if whole."""
    units, _, decimals = format_major_units(money).partition(".")
    return units if not decimals.strip("0") else f"{units}{decimal_separator(resolve_locale(lang))}{decimals}"


def decimal_separator(locale: Locale) -> str:
    """Return the decimal separator: a point in English, a comma in Russian."""
    return get_decimal_symbol(locale)


@lru_cache(maxsize=1024)
def accepted_symbols(currency: str, locale: Locale) -> tuple[str, ...]:
    """Return the accepted spellings of the currency, longest first: its code, its symbols and their bare signs.

    A Canadian campaign in British English shows "CA$". Its readers type "$", which can mean no other dollar there.
    """
    narrow = _NARROW_SYMBOLS.get(currency)
    symbols = {get_currency_symbol(currency, locale), get_currency_symbol(currency, _ENGLISH)}
    symbols |= {narrow} if narrow else set()
    signs = {sign for symbol in symbols for sign in symbol if unicodedata.category(sign) == "Sc"}
    # Every dollar is also written like "US$".
    signs |= {currency[:2] + sign for sign in signs}
    return tuple(sorted({currency, *map(strip_format_characters, symbols), *signs}, key=len, reverse=True))


@lru_cache(maxsize=1024)
def currency_pattern(locale: Locale, decimals: int) -> NumberPattern:
    """Return the locale's currency pattern with exactly this number of decimals."""
    pattern: NumberPattern = copy.copy(locale.currency_formats["standard"])
    pattern.frac_prec = (decimals, decimals)
    return pattern


def strip_format_characters(text: str) -> str:
    """Remove the direction marks and joiners (Unicode category Cf) that copied text may hold."""
    return "".join(character for character in text if unicodedata.category(character) != "Cf")


def _ceil_div(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
