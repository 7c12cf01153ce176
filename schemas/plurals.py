"""Plural forms of texts by the rules of CLDR, named as in i18next: `months_one`, `months_few`, `months_other`."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.plural import PluralRule

CATEGORIES = ("zero", "one", "two", "few", "many", "other")
FALLBACK_CATEGORY = "other"
FALLBACK_LANGUAGE = "en"
# No rule of CLDR tells integers apart beyond their last two digits, except for whole millions.
SAMPLE_COUNTS = range(200)


@lru_cache(maxsize=256)
def _plural_rule(lang: str) -> PluralRule:
    for tag in (lang.replace("_", "-"), lang.replace("_", "-").partition("-")[0]):
        try:
            return Locale.parse(tag, sep="-").plural_form
        except (ValueError, UnknownLocaleError):
            continue
    return Locale(FALLBACK_LANGUAGE).plural_form


@lru_cache(maxsize=256)
def plural_categories(lang: str) -> tuple[str, ...]:
    """Return the categories of a language, a BCP 47 tag: `("one", "few", "many", "other")` for Russian."""
    used = {*_plural_rule(lang).tags, FALLBACK_CATEGORY}
    return tuple(category for category in CATEGORIES if category in used)


def plural_category(lang: str, count: int) -> str:
    """Return the category of a count: "few" for 3 in Russian."""
    return _plural_rule(lang)(count)


@lru_cache(maxsize=1024)
def lone_count(lang: str, category: str) -> int | None:
    """Return the count that alone belongs to a category, as 1 to the English "one"; None if there are several."""
    counts = [count for count in SAMPLE_COUNTS if plural_category(lang, count) == category]
    return counts[0] if len(counts) == 1 else None


def split_plural(name: str) -> tuple[str, str] | None:
    """Return the base and the category that a name seems to end with, or None."""
    base, _, category = name.rpartition("_")
    return (base, category) if base and category in CATEGORIES else None


def plural_bases(names: Iterable[str]) -> frozenset[str]:
    """Return the bases of the plural texts among English names: those with both English forms."""
    known = frozenset(names)
    return frozenset(
        base
        for name in known
        if (base := name.removesuffix("_other")) != name
        if all(f"{base}_{category}" in known for category in plural_categories(FALLBACK_LANGUAGE))
    )


def plural_names(base: str, lang: str) -> tuple[str, ...]:
    """Return the names of all forms of a text in a language."""
    return tuple(f"{base}_{category}" for category in plural_categories(lang))


def format_plural(texts: Mapping[str, str], lang: str, base: str, count: int, **values: Any) -> str:
    """Return the form of a text for a count, with `{count}` and other placeholders filled in."""
    return texts[f"{base}_{plural_category(lang, count)}"].format_map({"count": count, **values})
