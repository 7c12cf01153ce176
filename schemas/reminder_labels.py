"""The words for the reminders that a campaign offers, for the widget and for the pages alike.

They are written here and not in the widget, which has no room for the plural forms of every language.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from babel import Locale
from babel.dates import format_timedelta

from schemas.translations import FALLBACK_LANGUAGE, available_languages, texts_for

MONTHS_IN_A_YEAR = 12
TextOverrides = Mapping[str, Mapping[str, str]]


def reminder_options(
    choices: Sequence[int], repeats: Sequence[int], lang: str, overrides: TextOverrides, *, locale: Locale
) -> list[dict[str, Any]]:
    """Return every reminder on offer as readers see them: those that come once, then those that come again.

    Each is `{"months": 3, "repeat": false, "label": "In 3 months"}`. The label is in `lang`, whose `locale` writes
    the numbers; `overrides` is what the campaign says differently, by language.
    """
    words = texts_for("reminders", lang, overrides)
    # A sentence that is still English, for want of another, needs an English number in it.
    is_ours = lang in available_languages() or "reminder_every" in overrides.get(lang, {})
    every = locale if is_ours else Locale(FALLBACK_LANGUAGE)
    once = [
        {"months": months, "repeat": False, "label": _one_off_label(months, words, locale)} for months in choices
    ]
    again = [
        {"months": months, "repeat": True, "label": _recurring_label(months, words, every)} for months in repeats
    ]
    return once + again


def _one_off_label(months: int, words: Mapping[str, str], locale: Locale) -> str:
    if months == 1:
        return words["reminder_next_month"]
    if months == MONTHS_IN_A_YEAR:
        return words["reminder_in_a_year"]
    when = _format_interval(months, locale, add_direction=True)
    return when[0].upper() + when[1:]


def _recurring_label(months: int, words: Mapping[str, str], locale: Locale) -> str:
    if months == 1:
        return words["reminder_every_month"]
    if months == MONTHS_IN_A_YEAR:
        return words["reminder_every_year"]
    return words["reminder_every"].format(interval=_format_interval(months, locale))


def _format_interval(months: int, locale: Locale, *, add_direction: bool = False) -> str:
    """Return "3 months" or "2 years", with a direction "in 3 months", in the language's own plural form."""
    years, rest = divmod(months, MONTHS_IN_A_YEAR)
    # To Babel a month has 30 days and a year 365; the high threshold keeps it from rounding one up to the other.
    return format_timedelta(
        datetime.timedelta(days=months * 30 if rest else years * 365),
        granularity="month" if rest else "year",
        threshold=1000,
        add_direction=add_direction,
        locale=locale,
    )


def reminder_text_overrides(
    lang: str, overrides: TextOverrides, *, repeats: bool, confirm: bool
) -> dict[str, str]:
    """Return the widget's texts that are not true of what this campaign offers, as they must be said instead.

    "Once" is not true of a reminder that comes again, and none is set before its reader has confirmed it. What the
    campaign itself says in a language stands.
    """
    words = texts_for("reminders", lang, overrides)
    instead: dict[str, str] = {}
    for kind, holds in (("_repeats", repeats), ("_confirm", confirm)):
        if holds:
            instead |= {name.removesuffix(kind): text for name, text in words.items() if name.endswith(kind)}
    return {name: text for name, text in instead.items() if name not in overrides.get(lang, {})}
