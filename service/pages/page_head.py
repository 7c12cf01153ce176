"""What search engines and link previews read in the head of a page that anyone may find."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from babel import Locale
from babel.core import get_global

from schemas.translations import available_languages
from service.db.models.campaign import Campaign
from service.domain.campaigns.brand import image_size
from service.domain.money import regional_language, resolve_locale
from service.pages.static_files import static_url
from service.pages.translations import Texts
from service.web import current_container

DEFAULT_LANGUAGE = "x-default"
# Search engines show about this much of a description.
MAX_DESCRIPTION_LENGTH = 200
RASTER_SUFFIXES = (".png", ".webp")
# Sites that show previews ignore a smaller image.
MIN_PREVIEW_SIZE = 200
PREVIEW_IMAGE, PREVIEW_WIDTH, PREVIEW_HEIGHT = "preview.png", 1200, 630


@dataclass(frozen=True, kw_only=True)
class PreviewImage:
    """The image of a link preview: its absolute URL, and its size in pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class PageHead:
    """The description of a public page, its canonical URL, and what previews of links to it show.

    `alternates` are the page's languages with their URLs. `locale` and `other_locales` are as Open Graph writes
    them: `en_US`.
    """

    description: str
    url: str
    alternates: Sequence[tuple[str, str]]
    locale: str
    other_locales: Sequence[str]
    image: PreviewImage


def support_page_head(campaign: Campaign, texts: Texts, message: Iterable[str], *, requested: bool) -> PageHead:
    """Return the head of a campaign's support page.

    `requested` says that the URL names its language; without that, the page is in the reader's.
    """
    urls = current_container().urls
    page = urls.support_page_url(campaign, None, None)
    languages = sorted({*available_languages(), texts.lang})
    by_language = [(language, f"{page}?lang={language}") for language in languages]
    return PageHead(
        description=shorten(" ".join(message), MAX_DESCRIPTION_LENGTH),
        url=dict(by_language)[texts.lang] if requested else page,
        alternates=[*by_language, (DEFAULT_LANGUAGE, page)],
        locale=open_graph_locale(regional_language(texts.lang, campaign.lang)),
        other_locales=[open_graph_locale(language) for language in languages if language != texts.lang],
        image=_preview_image(campaign, urls.public_url),
    )


def _preview_image(campaign: Campaign, public_url: str) -> PreviewImage:
    """Return the campaign's logo if it is a large picture; previews show no drawings. Else our own image."""
    logo = campaign.brand.get("logo") or ""
    if logo.endswith(RASTER_SUFFIXES):
        width, height = image_size(logo)
        if min(width, height) >= MIN_PREVIEW_SIZE:
            return PreviewImage(url=f"{public_url}/brand/images/{logo}", width=width, height=height)
    url = public_url + static_url(PREVIEW_IMAGE)
    return PreviewImage(url=url, width=PREVIEW_WIDTH, height=PREVIEW_HEIGHT)


def shorten(text: str, max_length: int) -> str:
    """Return the text, or its beginning up to the end of a word and an ellipsis."""
    if len(text) <= max_length:
        return text
    return text[:max_length].rpartition(" ")[0].rstrip(".,;:–— ") + "…"


def open_graph_locale(lang: str) -> str:
    """Return a language with its region, the most likely one if it has none: `en_GB`, `en_US`, `uk_UA`."""
    locale = resolve_locale(lang)
    if locale.territory is None:
        locale = Locale.parse(get_global("likely_subtags").get(str(locale), str(locale)))
    return f"{locale.language}_{locale.territory}" if locale.territory else locale.language
