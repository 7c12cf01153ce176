"""The texts that readers see: one JSON file for each language and namespace.

The widget has the English texts that it may need before its campaign is loaded; all other widget texts are part of
the campaign response, so a new language needs only new files here. A campaign may override any text. A text that a
language lacks is English, and `schemas/plurals.py` has the rules for texts with a count.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from string import Formatter

from schemas.plurals import (
    FALLBACK_CATEGORY,
    FALLBACK_LANGUAGE,
    lone_count,
    plural_bases,
    plural_categories,
    plural_category,
    plural_names,
    split_plural,
)

NAMESPACES = ("widget", "offers", "pages", "mails", "notices", "reminders", "me", "privacy", "statements")
# The texts that the widget shows before its campaign is loaded, in English because no other language is built in.
TEXTS_BEFORE_CAMPAIGN = frozenset(("loading", "error_loading"))
# The texts of the list from which a reader chooses a reminder.
REMINDER_LIST_TEXTS = frozenset(
    (
        "reminder_legend",
        "reminder_around",
        "reminder_pick_date",
        "reminder_day",
        "reminder_day_error",
        "remind_me_on",
    )
)
# The texts of the reminder form, which the box asks for with that form.
REMINDER_FORM_TEXTS = REMINDER_LIST_TEXTS | frozenset(
    (
        "sending",
        "reminder_heading",
        "reminder_message",
        "email",
        "reminder_consent",
        "privacy_link",
        "reminder_set",
        "reminder_date",
        "reminder_change",
        "reminder_kept",
        "reminder_calendar",
        "reminder_calendar_saved",
        "reminder_event",
        "email_missing",
        "email_invalid",
    )
)
# The newsroom's own line in reminders, which has no default.
REMINDER_NOTE = "reminder_note"
# The campaign's own texts, which it may also give in other languages.
CAMPAIGN_TEXT_NAMES = ("heading", "message", REMINDER_NOTE)
# The texts that widget/build.mjs builds into the widget.
BUILT_IN_TEXT_NAMES = frozenset(
    (
        "loading",
        "try_again",
        "try_again_in_one",
        "try_again_in_other",
        "try_again_in_minutes_other",
        "error_loading",
    )
)


def text_file(namespace: str, lang: str) -> Traversable:
    """Return the file of a language's texts, which may not exist."""
    return resources.files("schemas") / "texts" / f"{namespace}.{lang}.json"


@cache
def read_texts(namespace: str, lang: str) -> dict[str, str]:
    """Return the texts of a namespace that a language itself has; none if it has no file."""
    file = text_file(namespace, lang)
    texts: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return texts


@cache
def load_texts(namespace: str, lang: str) -> dict[str, str]:
    """Return the texts of a namespace in a language, in the order of the English ones, which fill the gaps."""
    own = read_texts(namespace, lang)
    return {name: own.get(name, text) for name, text in english_texts_for(namespace, lang).items()}


def english_texts_for(namespace: str, lang: str) -> dict[str, str]:
    """Return the English texts of a namespace, with the plural forms that `lang` distinguishes."""
    english = read_texts(namespace, FALLBACK_LANGUAGE)
    bases = plural_bases(english)
    texts: dict[str, str] = {}
    for name, text in english.items():
        base, category = split_plural(name) or (name, None)
        if base not in bases:
            texts[name] = text
        elif category == FALLBACK_CATEGORY:
            for own_name, own_category in zip(plural_names(base, lang), plural_categories(lang), strict=True):
                texts[own_name] = english[f"{base}_{_english_category(lang, own_category)}"]
    return texts


def _english_category(lang: str, category: str) -> str:
    """Return the English category that fits every count of the language's one."""
    count = lone_count(lang, category)
    return FALLBACK_CATEGORY if count is None else plural_category(FALLBACK_LANGUAGE, count)


@cache
def available_languages() -> tuple[str, ...]:
    """Return the languages that have text files, sorted."""
    folder = resources.files("schemas") / "texts"
    return tuple(sorted({file.name.split(".")[1] for file in folder.iterdir() if file.name.endswith(".json")}))


@cache
def plural_text_bases() -> frozenset[str]:
    """Return the name without a category of every text that has plural forms."""
    return frozenset().union(*(plural_bases(read_texts(namespace, FALLBACK_LANGUAGE)) for namespace in NAMESPACES))


@lru_cache(maxsize=256)
def text_names(lang: str) -> frozenset[str]:
    """Return the name of every text that a campaign may override in a language, with its plural forms."""
    return frozenset(CAMPAIGN_TEXT_NAMES).union(*(english_texts_for(namespace, lang) for namespace in NAMESPACES))


@lru_cache(maxsize=4096)
def placeholders_for(name: str) -> frozenset[str]:
    """Return the placeholders of the text with this name, which may have a plural form of any language."""
    base, category = split_plural(name) or (name, None)
    english_name = f"{base}_{FALLBACK_CATEGORY}" if category and base in plural_text_bases() else name
    for namespace in NAMESPACES:
        if english_name in read_texts(namespace, FALLBACK_LANGUAGE):
            return parse_placeholders(read_texts(namespace, FALLBACK_LANGUAGE)[english_name])
    return frozenset()


def parse_placeholders(text: str) -> frozenset[str]:
    """Return the placeholders in a text: the names in braces, with any conversion and format spec.

    Raises:
        ValueError: a brace is unbalanced.
    """
    # Callers allow only bare names: a width in a format spec could produce a text of any size.
    return frozenset(
        name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
        for _, name, spec, conversion in Formatter().parse(text)
        if name is not None
    )


def negotiate_language(requested: str | None, own: Iterable[str], *, default: str) -> str:
    """Return the requested language if there are texts in it, else the default.

    `requested` is a BCP 47 tag or None; `own` are the languages of the campaign's own texts.
    """
    offered = {*available_languages(), *own, default}
    if requested is not None:
        for tag in (requested, requested.replace("_", "-").partition("-")[0].lower()):
            if tag in offered:
                return tag
    return default


def texts_for(namespace: str, lang: str, overrides: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the texts of a namespace in a language, with the campaign's overrides applied."""
    texts = load_texts(namespace, lang)
    overrides_in_lang = overrides.get(lang)
    if not overrides_in_lang:
        return texts.copy()
    return texts | {
        name: text for name, text in overrides_in_lang.items() if name in texts and _can_be_filled(name, text)
    }


@lru_cache(maxsize=4096)
def _can_be_filled(name: str, text: str) -> bool:
    """Whether the text has only placeholders that are known today; a stored one may be of an earlier release."""
    try:
        return parse_placeholders(text) <= placeholders_for(name)
    except ValueError:
        return False


def widget_texts(
    lang: str,
    overrides: Mapping[str, Mapping[str, str]],
    *,
    full: bool,
    has_reminder_list: bool = True,
    has_privacy_link: bool = True,
) -> dict[str, str]:
    """Return the widget texts that differ from the English ones; with `full`, also those that are not built in.

    The widget has no use for some: those that it shows before its campaign is loaded, those of a list of reminders
    if there is one reminder, and that of a link to a privacy policy that there is not.
    """
    unused = TEXTS_BEFORE_CAMPAIGN
    if not has_reminder_list:
        unused |= REMINDER_LIST_TEXTS
    if not has_privacy_link:
        unused |= {"privacy_link"}
    texts = texts_for("widget", lang, overrides)
    english = load_texts("widget", FALLBACK_LANGUAGE)
    return {
        name: text
        for name, text in texts.items()
        if name not in unused and (text != english.get(name) or (full and name not in BUILT_IN_TEXT_NAMES))
    }
