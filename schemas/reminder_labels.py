"""Labels of the reminders that a campaign offers, for the widget and the pages.

They are built here and not in the widget, which would need the plural forms of every text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.plurals import format_plural
from schemas.translations import texts_for

TextOverrides = Mapping[str, Mapping[str, str]]


def reminder_options(
    choices: Sequence[int], repeats: Sequence[int], lang: str, overrides: TextOverrides
) -> list[dict[str, Any]]:
    """Return all reminder options in display order: one-off ones, then repeating ones.

    Each is `{"months": 3, "repeat": false, "label": "In 3 months", "button": "Remind me in 3 months"}`, with the
    labels in `lang`. `overrides` maps a language to the campaign's own texts.
    """
    texts = texts_for("widget", lang, overrides) | texts_for("reminders", lang, overrides)
    one_off = [
        {
            "months": months,
            "repeat": False,
            "label": _one_off_label(months, texts, lang),
            "button": reminder_button(months, texts, lang),
        }
        for months in choices
    ]
    repeating = [
        # The list above the button describes a recurring reminder, so the button does not repeat it.
        {
            "months": months,
            "repeat": True,
            "label": _recurring_label(months, texts, lang),
            "button": texts["remind_me"],
        }
        for months in repeats
    ]
    return one_off + repeating


def reminder_button(months: int, texts: Mapping[str, str], lang: str) -> str:
    """Return the label of the button that sets a single reminder; `texts` are of the widget and the reminders."""
    whole = {1: "remind_me_next_month", 12: "remind_me_in_a_year", 24: "remind_me_in_two_years"}
    if months in whole:
        return texts[whole[months]]
    return format_plural(texts, lang, "remind_me_in_months", months)


def _one_off_label(months: int, texts: Mapping[str, str], lang: str) -> str:
    whole = {1: "reminder_next_month", 12: "reminder_in_a_year", 24: "reminder_in_two_years"}
    if months in whole:
        return texts[whole[months]]
    return format_plural(texts, lang, "reminder_in_months", months)


def _recurring_label(months: int, texts: Mapping[str, str], lang: str) -> str:
    whole = {1: "reminder_every_month", 12: "reminder_every_year"}
    if months in whole:
        return texts[whole[months]]
    return format_plural(texts, lang, "reminder_every_months", months)


def reminder_text_overrides(
    lang: str,
    overrides: TextOverrides,
    *,
    choices: Sequence[int],
    repeats: Sequence[int],
    pick_date: bool,
    confirm: bool,
) -> dict[str, str]:
    """Return replacements for the widget texts that would be wrong for this campaign.

    The usual texts promise a single reminder next month, which is set at once. With other `choices`, with
    `repeats`, `pick_date` or `confirm` that is not so. A text that the campaign itself overrides in this language
    is not replaced.
    """
    texts = texts_for("reminders", lang, overrides)
    replacements: dict[str, str] = {}
    suffixes = {
        "_later": list(choices) != [1] or bool(repeats) or pick_date,
        "_choice": len(choices) + len(repeats) + pick_date > 1,
        "_repeats": bool(repeats),
        "_confirm": confirm,
    }
    for suffix, applies in suffixes.items():
        if applies:
            replacements |= {
                name.removesuffix(suffix): text for name, text in texts.items() if name.endswith(suffix)
            }
    return {name: text for name, text in replacements.items() if name not in overrides.get(lang, {})}
