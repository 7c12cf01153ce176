"""Dates as a reader's language writes them. No line break comes inside a date."""

import datetime
from functools import lru_cache

from babel.dates import format_date, format_skeleton

from service.domain.money import resolve_locale

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"


# Cached, because the emails of a day share few dates, and Babel takes longer than everything else.
@lru_cache(maxsize=4096)
def format_long_date(date: datetime.date, lang: str) -> str:
    """Return a date in its long form: "December 23, 2026" in English."""
    return str(format_date(date, format="long", locale=resolve_locale(lang))).replace(" ", NO_BREAK_SPACE)


def format_day_of_month(date: datetime.date, lang: str) -> str:
    """Return a date without its year: "December 23" in English."""
    return str(format_skeleton("MMMMd", date, locale=resolve_locale(lang))).replace(" ", NO_BREAK_SPACE)
