"""The heading and message of a campaign in one language, or what a closed campaign says instead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.campaign import split_paragraphs
from schemas.translations import texts_for


@dataclass(frozen=True)
class Appeal:
    """A heading and paragraphs, and the language of the paragraphs."""

    heading: str
    message: Sequence[str]
    lang: str


def localized_appeal(
    *,
    name: str,
    heading: str,
    message: Sequence[str],
    default_lang: str,
    lang: str,
    overrides: Mapping[str, Mapping[str, str]],
    is_closed: bool,
) -> Appeal:
    """Return the appeal in `lang`, as far as it is translated; `overrides` are the campaign's own texts."""
    if is_closed:
        texts = texts_for("pages", lang, overrides)
        words = {"campaign": name}
        closed = split_paragraphs(texts["campaign_closed_message"].format_map(words))
        return Appeal(texts["campaign_closed_heading"].format_map(words), closed, lang)
    own = overrides.get(lang, {})
    if "message" in own:
        return Appeal(own.get("heading", heading), split_paragraphs(own["message"]), lang)
    return Appeal(own.get("heading", heading), message, default_lang)
