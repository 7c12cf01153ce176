"""The heading and message of a campaign in one language, or what a closed campaign says instead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.campaign import impact_text_name, split_paragraphs
from schemas.enums import Frequency
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


def localized_impact(
    lines: Mapping[Frequency, Mapping[int, str]],
    *,
    lang: str,
    overrides: Mapping[str, Mapping[str, str]],
    other_currency: str | None = None,
) -> dict[Frequency, dict[int, str]]:
    """Return what amounts pay for in `lang`, as far as it is translated, by frequency and minor units."""
    own = overrides.get(lang, {})
    return {
        frequency: {
            amount: own.get(impact_text_name(frequency, amount, other_currency), line)
            for amount, line in by_amount.items()
        }
        for frequency, by_amount in lines.items()
    }
