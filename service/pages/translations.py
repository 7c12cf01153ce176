"""In which language a reader is answered, and every text of that language."""

from collections.abc import Iterable, Mapping
from typing import Any

from flask import request

from schemas.reminder_labels import reminder_text_overrides
from schemas.translations import negotiate_language, texts_for
from service.db.models.campaign import Campaign


class Texts(dict[str, str]):
    """The texts of the pages, and those of the widget that they share, in one language: `texts.thanks_title`."""

    def __init__(self, lang: str, said: Mapping[str, Mapping[str, str]]) -> None:
        places = ("widget", "pages", "me")
        super().__init__(
            {name: text for context in places for name, text in texts_for(context, lang, said).items()}
        )
        self.lang = lang

    def __getattr__(self, name: str) -> str:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def format(self, name: str, **values: Any) -> str:
        """Return one text with what stands in its braces."""
        return self[name].format_map(values)


def texts_for_campaign(campaign: Campaign, chosen: str | None = None) -> Texts:
    """Return the words for a campaign's reader.

    The language is the one asked for by `?lang=`, else the one `chosen` before, else the first that the browser
    accepts and we have, else the campaign's.
    """
    lang = _negotiate((_requested_language(), chosen), campaign.texts, default=campaign.lang)
    texts, repeats = Texts(lang, campaign.texts), bool(campaign.reminder_repeats)
    texts.update(reminder_text_overrides(lang, campaign.texts, repeats=repeats, confirm=campaign.reminder_confirm))
    return texts


def default_texts() -> Texts:
    """Return the words for a page that belongs to no campaign."""
    return Texts(_negotiate((_requested_language(),), (), default="en"), {})


def english_texts() -> Texts:
    """Return the words for a page that is for those who run the desk; such pages are written in English."""
    return Texts("en", {})


def _requested_language() -> str | None:
    return request.args.get("lang")


def _negotiate(wishes: Iterable[str | None], own: Iterable[str], *, default: str) -> str:
    own = tuple(own)
    for payload in (*wishes, *request.accept_languages.values()):
        # An empty default says that there are no texts in the wished language.
        if payload and (lang := negotiate_language(payload, own, default="")):
            return lang
    return default
