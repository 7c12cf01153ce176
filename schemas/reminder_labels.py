"""Labels of the reminders that a campaign offers, for the widget and the pages.

They are built here and not in the widget, which has no room for the plural rules of every language.
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
    """Return all reminder options in display order: one-off ones, then repeating ones.

    Each is `{"months": 3, "repeat": false, "label": "In 3 months"}`. The label is in `lang`, with intervals
    formatted for `locale`. `overrides` maps a language to the campaign's own texts.
    """
    texts = texts_for("reminders", lang, overrides)
    # If the sentence falls back to English, the interval in it must be English too.
    is_translated = lang in available_languages() or "reminder_every" in overrides.get(lang, {})
    interval_locale = locale if is_translated else Locale(FALLBACK_LANGUAGE)
    one_off = [
        {"months": months, "repeat": False, "label": _one_off_label(months, texts, locale)} for months in choices
    ]
    repeating = [
        {"months": months, "repeat": True, "label": _recurring_label(months, texts, interval_locale)}
        for months in repeats
    ]
    return one_off + repeating


def _one_off_label(months: int, texts: Mapping[str, str], locale: Locale) -> str:
    if months == 1:
        return texts["reminder_next_month"]
    if months == MONTHS_IN_A_YEAR:
        return texts["reminder_in_a_year"]
    interval = _format_interval(months, locale, add_direction=True)
    return interval[0].upper() + interval[1:]


def _recurring_label(months: int, texts: Mapping[str, str], locale: Locale) -> str:
    if months == 1:
        return texts["reminder_every_month"]
    if months == MONTHS_IN_A_YEAR:
        return texts["reminder_every_year"]
    return texts["reminder_every"].format(interval=_format_interval(months, locale))


def _format_interval(months: int, locale: Locale, *, add_direction: bool = False) -> str:
    """Return "3 months" or "2 years", or with `add_direction` "in 3 months", in the locale's plural form."""
    years, rest = divmod(months, MONTHS_IN_A_YEAR)
    # Babel counts 30 days per month and 365 per year; the high threshold prevents it from rounding up to years.
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
    """Return replacements for the widget texts that would be wrong for this campaign.

    The usual texts promise a single reminder, which is set at once. With `repeats` or `confirm` that is not so. A
    text that the campaign itself overrides in this language is not replaced.
    """
    texts = texts_for("reminders", lang, overrides)
    replacements: dict[str, str] = {}
    for suffix, applies in (("_repeats", repeats), ("_confirm", confirm)):
        if applies:
            replacements |= {
                name.removesuffix(suffix): text for name, text in texts.items() if name.endswith(suffix)
            }
    return {name: text for name, text in replacements.items() if name not in overrides.get(lang, {})}
