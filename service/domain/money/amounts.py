"""Money: whole minor units and a currency. No float comes near it."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from service.domain.money.currencies import currency_pattern, exponent, is_currency, resolve_locale
from service.domain.money.typed_amount import parse_amount

__all__ = ["Money", "exponent", "format_major_units", "format_money", "is_currency", "parse_amount"]

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
