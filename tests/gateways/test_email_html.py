"""Every kind of email, by a strict HTML parser: valid, small, complete as plain text, loading only a logo."""

import dataclasses
import datetime
import re
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import pytest
from tinyhtml5.parser import HTMLParser

from schemas.brand import MAX_POSTAL_ADDRESS_LENGTH
from schemas.campaign import MAX_REMINDER_NOTE_LENGTH
from schemas.colours import TEXT_CONTRAST, contrast
from schemas.enums import EmailKind, Frequency
from schemas.translations import available_languages
from service.domain.money import Money
from service.domain.ports import EmailBrand, EmailLogo, NotificationEmail, ReminderEmail
from service.gateways.email.colours import email_colours
from service.gateways.email.renderer import EmailRenderer
from tests.gateways.emails import parse, reminder_email
from tests.gateways.notifications import VARIANTS, notification

NOW = datetime.datetime(2026, 12, 1, 9, 0, tzinfo=datetime.UTC)
RENDERER = EmailRenderer("The Paper <support@paper.example>", lambda: NOW)
PUBLIC_HOST = "desk.test"
PAGE = "https://paper.example/article"
MAX_BYTES = 30_000
RTL = "ar"
LOGO = EmailLogo(url=f"http://{PUBLIC_HOST}/brand/images/logo.png-email.png", width=240, height=48)
BRANDS = [
    EmailBrand(),
    EmailBrand(logo=LOGO, accent="#f5c518", heading_font="sans"),
    EmailBrand(
        logo=LOGO,
        logo_dark=dataclasses.replace(LOGO, url=f"http://{PUBLIC_HOST}/brand/images/dark.png-email.png"),
        accent="#1b2a6b",
        on_accent="#ffffff",
        heading_font="system",
        postal_address="The Paper & Sons\n12 Quay Street <rear>\nPort Ellis",
    ),
]
GIVING = {"frequency": Frequency.MONTHLY, "money": Money(500, "USD")}
NOTE = {"reminder_note": "The council has voted <yes>.\n\nThank you & all."}
REMINDERS: list[dict[str, Any]] = [
    {"texts": NOTE},
    GIVING | {"page_title": "Harbour <wall> & tide"},
    GIVING | {"every_months": 3, "requested_from": None},
    {"can_be_moved": False, "is_last": True},
    {"is_confirmation_request": True, "texts": NOTE},
    {"is_confirmation_request": True, "every_months": 1},
]
EMAILS: list[ReminderEmail | NotificationEmail] = [
    *(reminder_email(**changes) for changes in REMINDERS),
    *(notification(**changes) for changes in VARIANTS),
]
LANGUAGES = sorted({*available_languages(), RTL})


def name_of(email: ReminderEmail | NotificationEmail) -> str:
    return "reminder" if isinstance(email, ReminderEmail) else email.kind


def render(email: ReminderEmail | NotificationEmail, lang: str, brand: EmailBrand) -> tuple[str, str, int]:
    """Return the plain part, the HTML part and the size of the email in bytes."""
    # With a text of its own, a campaign can have a language that has no files.
    texts = email.texts | {"mail_thanks": "…", "notice_thanks": "…"} if lang == RTL else email.texts
    mail = RENDERER.render(dataclasses.replace(email, lang=lang, brand=brand, texts=texts))
    text, html = (parse(mail).get_body((kind,)).get_content() for kind in ("plain", "html"))
    return text.replace("\r\n", "\n"), html, len(mail.content)


def parse_strictly(html: str) -> Element:
    parser = HTMLParser(namespace_html_elements=False)
    tree = parser.parse(html)
    assert parser.errors == []
    return tree


def shown_texts(element: Element) -> list[str]:
    """Return the texts that a reader sees, without the preview of the inbox."""
    if element.tag in ("style", "title") or "display:none" in element.get("style", ""):
        return [element.tail or ""]
    inside = [element.get("alt", ""), element.text or ""] if isinstance(element.tag, str) else []
    return [*inside, *(text for child in element for text in shown_texts(child)), element.tail or ""]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("email", EMAILS, ids=name_of)
@pytest.mark.parametrize("brand", BRANDS, ids=["own", "logo", "full"])
def test_email_is_valid_small_and_complete_as_plain_text(
    email: ReminderEmail | NotificationEmail, lang: str, brand: EmailBrand
) -> None:
    text, html, size = render(email, lang, brand)
    assert size < MAX_BYTES
    tree = parse_strictly(html)
    assert (tree.get("lang"), tree.get("dir")) == (lang, "rtl" if lang == RTL else "ltr")
    words = " ".join(text.split())
    for shown in shown_texts(tree):
        assert " ".join(shown.split()) in words
        assert "://" not in shown
    lines = text.split("\n")
    for link in tree.iter("a"):
        assert link.get("href") in lines
    assert len(list(tree.iter("a"))) == sum("://" in line for line in lines)


@pytest.mark.parametrize("email", EMAILS, ids=name_of)
@pytest.mark.parametrize("brand", BRANDS, ids=["own", "logo", "full"])
def test_email_loads_nothing_but_the_logo_from_our_host(
    email: ReminderEmail | NotificationEmail, brand: EmailBrand
) -> None:
    _, html, _ = render(email, "en", brand)
    tree = parse_strictly(html)
    images = list(tree.iter("img"))
    assert [image.get("src") for image in images] == [
        logo.url for logo in (brand.logo, brand.logo_dark) if logo is not None
    ]
    for image in images:
        assert image.get("alt") == email.campaign_name
        assert (image.get("width"), image.get("height")) == ("240", "48")
    for name in ("script", "link", "iframe", "object", "form", "video", "audio", "svg"):
        assert list(tree.iter(name)) == []
    assert not re.search(r"url\(|@import|@font-face", html)
    loaded = [element.get(name) for element in tree.iter() for name in ("src", "srcset", "background", "poster")]
    assert {urlsplit(url).hostname for url in loaded if url} <= {PUBLIC_HOST}


@pytest.mark.parametrize("email", EMAILS, ids=name_of)
def test_email_has_a_preview_and_dark_colours(email: ReminderEmail | NotificationEmail) -> None:
    _, html, _ = render(email, "en", BRANDS[0])
    tree = parse_strictly(html)
    schemes = [meta.get("content") for meta in tree.iter("meta") if meta.get("name") == "color-scheme"]
    assert schemes == ["light dark"]
    assert "prefers-color-scheme: dark" in html
    preview = next(tree.iter("div"))
    assert (preview.text or "").strip(" \u034f\u200c\u00a0")
    assert preview.get("aria-hidden") == "true"


@pytest.mark.parametrize("accent", ["#0f5c4e", "#f5c518", "#1b2a6b", "#ffffff", "#000000", "#7f7f7f", "#e4002b"])
def test_links_and_buttons_are_readable_on_both_grounds(accent: str) -> None:
    light, dark = email_colours(accent, None)
    for colours, grounds in ((light, ("#fdfcfa", "#f7f4ec")), (dark, ("#201f1b", "#171614"))):
        assert contrast(colours.fill, colours.on_fill) >= TEXT_CONTRAST
        for ground in grounds:
            assert contrast(colours.link, ground) >= TEXT_CONTRAST
            assert contrast(colours.edge, ground) >= 3


def test_note_of_the_newsroom_is_in_reminders_and_not_in_confirmation_requests() -> None:
    for part in render(reminder_email(texts=NOTE), "en", BRANDS[0])[:2]:
        assert "Thank you &" in part
    for part in render(reminder_email(texts=NOTE, is_confirmation_request=True), "en", BRANDS[0])[:2]:
        assert "Thank you &" not in part


def test_longest_note_and_postal_address_keep_a_reminder_small() -> None:
    brand = dataclasses.replace(BRANDS[-1], postal_address="ي " * (MAX_POSTAL_ADDRESS_LENGTH // 2))
    note = {"reminder_note": "ي " * (MAX_REMINDER_NOTE_LENGTH // 2)}
    assert render(reminder_email(texts=note), "ar", brand)[2] < MAX_BYTES


def test_texts_of_the_newsroom_have_their_own_direction() -> None:
    """In Arabic, an English sentence would else end with its full stop at the left."""
    note = render(reminder_email(texts=NOTE), "ar", BRANDS[0])[1]
    assert '<p dir="auto" style="margin:0 0 16px;">Thank you &amp; all.</p>' in note
    receipt = next(email for email in EMAILS if getattr(email, "kind", None) is EmailKind.RECEIPT)
    html = render(receipt, "ar", BRANDS[0])[1]
    assert '<p dir="auto" style="margin:0 0 16px;">EIN 12-3456789. No goods or services' in html


def test_every_kind_of_email_is_covered() -> None:
    kinds = {email.kind for email in EMAILS if isinstance(email, NotificationEmail)}
    assert set(EmailKind) - kinds == {EmailKind.REMINDER, EmailKind.REMINDER_CONFIRMATION, EmailKind.ALERT}
