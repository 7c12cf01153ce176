"""Amounts and dates in the words of a page."""

import datetime

from babel.dates import format_date, format_timedelta

from schemas.enums import Frequency
from service.domain.money import Money, decimal_separator, format_major_units, format_money, resolve_locale
from service.pages.translations import Texts

DAYS_IN_A_BABEL_MONTH = 30
MONTHS_IN_A_YEAR = 12


def format_pledge(texts: Texts, frequency: Frequency, money: Money) -> str:
    """Return a gift in words: "$2 a month"."""
    return texts.format(f"gift_{frequency}", amount=format_money(money, texts.lang))


def format_input_amount(money: Money, lang: str) -> str:
    """Return an amount as this language's readers type it: "7.50", in Russian "7,50", and "5" if it is whole."""
    whole, _, decimals = format_major_units(money).partition(".")
    return whole if not decimals.strip("0") else f"{whole}{decimal_separator(resolve_locale(lang))}{decimals}"


def format_long_date(date: datetime.date, lang: str) -> str:
    """Return a date in words: "23 December 2026" as the language writes it."""
    return format_date(date, format="long", locale=resolve_locale(lang))


def format_reminder_button(months: int, texts: Texts) -> str:
    """Return the words on the button that sets a reminder so many months from now."""
    if months == 1:
        return texts.remind_me_next_month
    return texts.format("remind_me_when", when=_format_months(months, texts, add_direction=True))


def format_interval(months: int, texts: Texts) -> str:
    """Return how often a reminder comes: "every month", "every 3 months"."""
    if months == 1:
        return texts.every_month
    if months == MONTHS_IN_A_YEAR:
        return texts.every_year
    return texts.format("every_so_often", months=_format_months(months, texts, add_direction=False))


def _format_months(months: int, texts: Texts, *, add_direction: bool) -> str:
    span = datetime.timedelta(days=months * DAYS_IN_A_BABEL_MONTH)
    locale = resolve_locale(texts.lang)
    # Without the high threshold Babel would round twelve months to a year.
    return format_timedelta(span, granularity="month", threshold=1000, add_direction=add_direction, locale=locale)
