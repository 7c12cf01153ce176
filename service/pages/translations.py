"""Choose the language of a page and load its texts."""

from collections.abc import Iterable, Mapping
from typing import Any

from flask import request

from schemas.bidi import isolate_values
from schemas.plurals import format_plural
from schemas.reminder_labels import reminder_text_overrides
from schemas.translations import negotiate_language, texts_for
from service.db.models.campaign import Campaign

PAGE_NAMESPACES = ("widget", "pages", "me", "privacy", "statements", "reminders")


class Texts(dict[str, str]):
    """The texts of pages and widget in one language, as items and as attributes: `texts.thanks_given`."""

    def __init__(self, lang: str, overrides: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__(
            {
                name: text
                for namespace in PAGE_NAMESPACES
                for name, text in texts_for(namespace, lang, overrides).items()
            }
        )
        self.lang = lang

    def __getattr__(self, name: str) -> str:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def format(self, name: str, **values: Any) -> str:
        """Return one text with its placeholders filled in."""
        return self[name].format_map(isolate_values(values, self.lang))

    def plural(self, name: str, count: int, **values: Any) -> str:
        """Return the form of a text for a count, with `{count}` and other placeholders filled in."""
        return format_plural(self, self.lang, name, count, **isolate_values(values, self.lang))


def texts_for_campaign(campaign: Campaign, stored_lang: str | None = None) -> Texts:
    """Return the texts of a campaign's pages, with its overrides.

    The language is `?lang=`, else `stored_lang`, else the first that the browser accepts and has texts, else the
    campaign's.
    """
    lang = _negotiate((_requested_language(), stored_lang), campaign.texts, default=campaign.lang)
    texts = Texts(lang, campaign.texts)
    texts.update(
        reminder_text_overrides(
            lang,
            campaign.texts,
            choices=campaign.reminder_choices,
            repeats=campaign.reminder_repeats,
            pick_date=campaign.reminder_pick_date,
            confirm=campaign.reminder_confirm,
        )
    )
    return texts


def default_texts() -> Texts:
    """Return the texts of a page that belongs to no campaign."""
    return Texts(_negotiate((_requested_language(),), (), default="en"), {})


def english_texts() -> Texts:
    """Return the texts of a page for operators and developers, which is always in English."""
    return Texts("en", {})


def _requested_language() -> str | None:
    return request.args.get("lang")


def _negotiate(preferred: Iterable[str | None], campaign_languages: Iterable[str], *, default: str) -> str:
    """Return the first language that has texts, of `preferred` and then of the Accept-Language header."""
    available = tuple(campaign_languages)
    for tag in (*preferred, *request.accept_languages.values()):
        # The empty default tells apart a language without texts.
        if tag and (lang := negotiate_language(tag, available, default="")):
            return lang
    return default
