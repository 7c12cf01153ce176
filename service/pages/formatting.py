"""Format amounts, dates and intervals in the reader's language."""

import datetime

from schemas.enums import Frequency
from schemas.reminder_labels import reminder_button
from service.db.models.campaign import Campaign
from service.domain.dates import format_day_of_month, format_long_date
from service.domain.money import Money, format_money, regional_language
from service.pages.translations import Texts

MONTHS_IN_A_YEAR = 12

A_YEAR_LESS_A_MONTH = datetime.timedelta(days=334)


def format_pledge(texts: Texts, frequency: Frequency, money: Money) -> str:
    """Return an amount with its frequency: "$2 a month"."""
    return texts.format(f"gift_{frequency}", amount=format_money(money, texts.lang))


def format_day(date: datetime.date, campaign: Campaign, texts: Texts) -> str:
    """Return a long date as the language of the page and the campaign's region write it: "23 December 2026"."""
    return format_long_date(date, regional_language(texts.lang, campaign.lang))


def format_near_day(date: datetime.date, campaign: Campaign, texts: Texts, *, today: datetime.date) -> str:
    """Return a day without its year, "26 December", unless it is so far ahead that the year is needed."""
    if date - today > A_YEAR_LESS_A_MONTH:
        return format_day(date, campaign, texts)
    return format_day_of_month(date, regional_language(texts.lang, campaign.lang))


def format_reminder_button(months: int, texts: Texts) -> str:
    """Return the label of the button that sets a reminder for `months` from now."""
    return reminder_button(months, texts, texts.lang)


def format_interval(months: int, texts: Texts) -> str:
    """Return how often a reminder comes: "every month", "every 3 months"."""
    if months == 1:
        return texts.every_month
    if months == MONTHS_IN_A_YEAR:
        return texts.every_year
    return texts.plural("every_months", months)
