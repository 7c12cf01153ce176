"""Names, amounts and addresses inside right-to-left sentences, kept apart from the words around them (UAX 9)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from babel import Locale, UnknownLocaleError

FIRST_STRONG_ISOLATE, POP_DIRECTIONAL_ISOLATE = "\u2068", "\u2069"


@lru_cache(maxsize=256)
def is_right_to_left(lang: str) -> bool:
    """Whether a language, a BCP 47 tag, is written from right to left."""
    try:
        return Locale.parse(lang.replace("_", "-").partition("-")[0], sep="-").text_direction == "rtl"
    except (ValueError, UnknownLocaleError):
        return False


def isolate_values(values: Mapping[str, Any], lang: str) -> Mapping[str, Any]:
    """Return the values of a sentence's placeholders, each isolated if the language is right-to-left.

    Otherwise the Latin name of a paper could change places with the full stop or the amount beside it.
    """
    if not is_right_to_left(lang):
        return values
    return {
        name: f"{FIRST_STRONG_ISOLATE}{value}{POP_DIRECTIONAL_ISOLATE}"
        if isinstance(value, str) and value
        else value
        for name, value in values.items()
    }
