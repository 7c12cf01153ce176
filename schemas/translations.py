"""The texts that readers see: one JSON file for each language and namespace.

The widget has the English texts that it may need before its campaign is loaded; all other widget texts are part of
the campaign response, so a new language needs only a new file here. A campaign may override any text.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from string import Formatter

NAMESPACES = ("widget", "offers", "pages", "mails", "notices", "reminders", "me")
FALLBACK_LANGUAGE = "en"
# The campaign's own texts, which it may also give in other languages.
CAMPAIGN_TEXT_NAMES = ("heading", "message")
# The texts that widget/build.mjs builds into the widget.
BUILT_IN_TEXT_NAMES = frozenset(
    (
        *("once", "monthly", "annual", "continue", "loading", "submitting", "close"),
        *("try_again", "try_again_in", "not_ready", "error_loading"),
    )
)


@cache
def load_texts(namespace: str, lang: str) -> dict[str, str]:
    """Return the texts of a namespace in a language, or the English ones if that language has no file."""
    folder = resources.files("schemas") / "texts"
    file = folder / f"{namespace}.{lang}.json"
    if not file.is_file():
        file = folder / f"{namespace}.{FALLBACK_LANGUAGE}.json"
    texts: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return texts


@cache
def available_languages() -> tuple[str, ...]:
    """Return the languages that have text files, sorted."""
    folder = resources.files("schemas") / "texts"
    return tuple(sorted({file.name.split(".")[1] for file in folder.iterdir() if file.name.endswith(".json")}))


@cache
def text_names() -> frozenset[str]:
    """Return the name of every text that a campaign may override."""
    return frozenset(CAMPAIGN_TEXT_NAMES).union(
        *(load_texts(namespace, FALLBACK_LANGUAGE) for namespace in NAMESPACES)
    )


@cache
def placeholders_for(name: str) -> frozenset[str]:
    """Return the placeholders of the text with this name."""
    for namespace in NAMESPACES:
        if name in load_texts(namespace, FALLBACK_LANGUAGE):
            return parse_placeholders(load_texts(namespace, FALLBACK_LANGUAGE)[name])
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
    overrides_in_lang = overrides.get(lang, {})
    return {name: overrides_in_lang.get(name, text) for name, text in texts.items()}


def widget_texts(lang: str, overrides: Mapping[str, Mapping[str, str]], *, full: bool) -> dict[str, str]:
    """Return the widget texts that differ from the English ones; with `full`, also those that are not built in."""
    texts = texts_for("widget", lang, overrides)
    english = load_texts("widget", FALLBACK_LANGUAGE)
    return {
        name: text
        for name, text in texts.items()
        if text != english[name] or (full and name not in BUILT_IN_TEXT_NAMES)
    }
