"""Amounts and dates in the words of a page."""

import datetime

from babel.dates import format_date, format_timedelta

from schemas.vocabulary import Frequency
from service.domain.money.amounts import Money, format_major_units, format_money
from service.domain.money.currencies import decimal_separator, resolve_locale
from service.pages.language import Words

DAYS_IN_A_BABEL_MONTH = 30
MONTHS_IN_A_YEAR = 12


def say_gift(words: Words, frequency: Frequency, money: Money) -> str:
    """Return a gift in words: "$2 a month"."""
    return words.fill(f"gift_{frequency}", amount=format_money(money, words.lang))


def typed_form(money: Money, lang: str) -> str:
    """Return an amount as this language's readers type it: "7.50", in Russian "7,50", and "5" if it is whole."""
    whole, _, decimals = format_major_units(money).partition(".")
    return whole if not decimals.strip("0") else f"{whole}{decimal_separator(resolve_locale(lang))}{decimals}"


def say_date(date: datetime.date, lang: str) -> str:
    """Return a date in words: "23 December 2026" as the language writes it."""
    return format_date(date, format="long", locale=resolve_locale(lang))


def say_when(months: int, words: Words) -> str:
    """Return the words on the button that sets a reminder so many months from now."""
    if months == 1:
        return words.remind_me_next_month
    return words.fill("remind_me_when", when=_say_months(months, words, add_direction=True))


def say_every(months: int, words: Words) -> str:
    """Return how often a reminder comes: "every month", "every 3 months"."""
    if months == 1:
        return words.every_month
    if months == MONTHS_IN_A_YEAR:
        return words.every_year
    return words.fill("every_so_often", months=_say_months(months, words, add_direction=False))


def _say_months(months: int, words: Words, *, add_direction: bool) -> str:
    span = datetime.timedelta(days=months * DAYS_IN_A_BABEL_MONTH)
    locale = resolve_locale(words.lang)
    # Without the high threshold Babel would round twelve months to a year.
    return format_timedelta(span, granularity="month", threshold=1000, add_direction=add_direction, locale=locale)
