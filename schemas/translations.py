"""Every sentence that readers see, by language: one JSON file for each language and place.

The widget's English is built into the widget; all other widget texts travel with the campaign's answer, so
a new language is a new file here and nothing else. A campaign may say any of them differently.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from string import Formatter

NAMESPACES = ("widget", "offers", "pages", "mails", "notices", "reminders", "me")
FALLBACK_LANGUAGE = "en"
# A campaign's own words, which another language can give as well.
CAMPAIGN_TEXT_NAMES = ("heading", "message")


@cache
def load_texts(place: str, lang: str) -> dict[str, str]:
    """Return the texts of one place in one language, the English ones where that language has no file."""
    folder = resources.files("schemas") / "texts"
    file = folder / f"{place}.{lang}.json"
    if not file.is_file():
        file = folder / f"{place}.{FALLBACK_LANGUAGE}.json"
    texts: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return texts


@cache
def available_languages() -> tuple[str, ...]:
    """Return the languages that have texts of their own."""
    folder = resources.files("schemas") / "texts"
    return tuple(sorted({file.name.split(".")[1] for file in folder.iterdir() if file.name.endswith(".json")}))


@cache
def text_names() -> frozenset[str]:
    """Return the name of every text that a campaign may say differently."""
    return frozenset(CAMPAIGN_TEXT_NAMES).union(*(load_texts(place, FALLBACK_LANGUAGE) for place in NAMESPACES))


@cache
def placeholders_for(name: str) -> frozenset[str]:
    """Return the names that stand in braces in a text, each of which is filled in when it is shown."""
    for place in NAMESPACES:
        if name in load_texts(place, FALLBACK_LANGUAGE):
            return parse_placeholders(load_texts(place, FALLBACK_LANGUAGE)[name])
    return frozenset()


def parse_placeholders(text: str) -> frozenset[str]:
    """Return the names in braces.

    Raises:
        ValueError: a brace stands alone.
    """
    # Only a bare name is filled in: a width in braces could ask for a text of any size.
    return frozenset(
        name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
        for _, name, spec, conversion in Formatter().parse(text)
        if name is not None
    )


def negotiate_language(wanted: str | None, own: Iterable[str], *, default: str) -> str:
    """Return the language to answer in: the wanted one if there are texts in it, else the campaign's.

    `wanted` is a BCP 47 tag or None; `own` are the languages that the campaign itself gives texts for.
    """
    offered = {*available_languages(), *own, default}
    if wanted is not None:
        for tag in (wanted, wanted.replace("_", "-").partition("-")[0].lower()):
            if tag in offered:
                return tag
    return default


def texts_for(place: str, lang: str, said: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the texts of a place in a language, with what the campaign says differently (`said`) in place."""
    texts = load_texts(place, lang)
    differently = said.get(lang, {})
    return {name: differently.get(name, text) for name, text in texts.items()}


def widget_texts(lang: str, said: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the texts that the widget does not have built in."""
    texts = texts_for("widget", lang, said)
    built_in = load_texts("widget", FALLBACK_LANGUAGE)
    return {name: text for name, text in texts.items() if text != built_in[name]}
