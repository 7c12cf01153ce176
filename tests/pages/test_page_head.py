"""The head of the support page, the icons, and what search engines may find."""

import datetime
import re
import struct
from urllib.robotparser import RobotFileParser

import pytest
from flask.testing import FlaskClient

from schemas.translations import available_languages
from service.container import Container
from service.domain.campaigns.definitions import get_campaign
from service.domain.dates import format_long_date
from service.domain.money import regional_language
from service.pages.page_head import open_graph_locale, shorten
from tests.api.client import pay_pledge, post_pledge, update_campaign
from tests.pages.html import BROWSER, visible_text

PAGE = "http://desk.test/support/default"


def metadata(html: str) -> dict[str, str]:
    """Return the meta elements of a page by name or property."""
    found = re.findall(r'<meta (?:name|property)="([^"]+)" content="([^"]*)"', html)
    return dict(found)


def test_title_has_the_heading_and_the_paper(client: FlaskClient, container: Container) -> None:
    update_campaign(container, heading="Truth & tides", name="The <Lantern>")
    html = client.get("/support/default").text
    assert "<title>Truth &amp; tides – The &lt;Lantern&gt;</title>" in html


@pytest.mark.parametrize(
    ("path", "form", "title"),
    [
        ("/support/default", {"other_amount": "nonsense"}, "Error: Truth &amp; tides – The &lt;Lantern&gt;"),
        ("/me", {"email": "nonsense"}, "Error: "),
    ],
)
def test_title_begins_with_the_error_of_a_form(
    client: FlaskClient, container: Container, path: str, form: dict[str, str], title: str
) -> None:
    update_campaign(container, heading="Truth & tides", name="The <Lantern>")
    html = client.post(path, data={"frequency": "monthly", "currency": "USD"} | form).text
    assert f"<title>{title}" in html


def test_declined_test_payment_begins_the_title_with_an_error(client: FlaskClient) -> None:
    url = post_pledge(client).json["checkout_url"]
    assert "<title>Error: " in client.post(url, data={"outcome": "decline"}).text
    assert "<title>Error: " not in client.get(url).text


def test_preview_of_the_support_page(client: FlaskClient, container: Container) -> None:
    update_campaign(container, heading="Truth & tides", message=["One. " * 50, "Two."], lang="en-GB")
    found = metadata(client.get("/support/default?frequency=once").text)
    assert found["og:title"] == "Truth &amp; tides"
    assert found["og:site_name"] == "The Harbour Lantern"
    assert found["og:url"] == PAGE
    assert found["og:type"] == "website"
    assert found["description"] == found["og:description"]
    assert 150 < len(found["description"]) <= 200
    assert found["description"].endswith("One…")
    assert found["og:locale"] == "en_GB"
    assert (found["og:image:width"], found["og:image:height"]) == ("1200", "630")


def test_preview_image_is_a_png_of_the_stated_size(client: FlaskClient) -> None:
    url = metadata(client.get("/support/default").text)["og:image"]
    assert url.startswith("http://desk.test/static/preview.png?v=")
    response = client.get(url)
    assert (response.status_code, response.content_type) == (200, "image/png")
    assert response.data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", response.data[16:24]) == (1200, 630)
    # Others show it, so they may load it.
    assert "Content-Encoding" not in client.get(url, headers={"Accept-Encoding": "gzip"}).headers


@pytest.mark.parametrize(
    ("logo", "is_used"),
    [
        ("0123456789abcdef-800x400.png", True),
        ("0123456789abcdef-800x100.png", False),
        ("0123456789abcdef-800x400.svg", False),
    ],
)
def test_preview_shows_the_logo_if_it_is_a_large_picture(
    client: FlaskClient, container: Container, logo: str, is_used: bool
) -> None:
    with container.database.transaction() as session:
        get_campaign(session, "default").brand = {"logo": logo}
    found = metadata(client.get("/support/default").text)
    assert (found["og:image"] == f"http://desk.test/brand/images/{logo}") == is_used
    assert (found["og:image:width"], found["og:image:height"]) == (("800", "400") if is_used else ("1200", "630"))


@pytest.mark.parametrize(
    ("query", "header", "canonical"),
    [("", "en", PAGE), ("", "ru", PAGE), ("?lang=ru", "en", f"{PAGE}?lang=ru"), ("?lang=xx", "en", PAGE)],
)
def test_canonical_url_names_the_language_only_if_it_was_asked_for(
    client: FlaskClient, query: str, header: str, canonical: str
) -> None:
    html = client.get(f"/support/default{query}", headers={"Accept-Language": header}).text
    assert f'<link rel="canonical" href="{canonical}">' in html


def test_alternates_are_all_languages_and_the_readers_own(client: FlaskClient) -> None:
    html = client.get("/support/default").text
    found = dict(re.findall(r'<link rel="alternate" hreflang="([^"]+)" href="([^"]+)">', html))
    assert found == {lang: f"{PAGE}?lang={lang}" for lang in available_languages()} | {"x-default": PAGE}


@pytest.mark.parametrize(
    ("path", "size"), [("/favicon.ico", 32), ("/apple-touch-icon.png", 180), ("/static/favicon.ico", 32)]
)
def test_icons_are_where_browsers_ask_for_them(client: FlaskClient, path: str, size: int) -> None:
    response = client.get(path)
    assert response.status_code == 200
    start = response.data.index(b"\x89PNG")
    assert struct.unpack(">II", response.data[start + 16 : start + 24]) == (size, size)
    assert "max-age" in response.headers["Cache-Control"] or path.startswith("/static")


def test_robots_find_support_pages_and_no_personal_ones(client: FlaskClient) -> None:
    response = client.get("/robots.txt")
    assert response.content_type == "text/plain; charset=utf-8"
    parser = RobotFileParser()
    parser.parse(response.text.splitlines())
    for path in ("/", "/support/default", "/support/default?lang=ru", "/static/preview.png", "/widget/v1.js"):
        assert parser.can_fetch("Googlebot", path), path
    for path in (
        "/r/token",
        "/me",
        "/me/email",
        "/p/token",
        "/sandbox/checkout/token",
        "/dev/outbox",
        "/v1/pledges",
    ):
        assert not parser.can_fetch("Googlebot", path), path
    assert "Disallow: /support/*/thank-you" in response.text.splitlines()


def test_dates_follow_the_campaigns_region(client: FlaskClient, container: Container) -> None:
    update_campaign(container, lang="en-GB")
    form = {"email": "reader@example.org", "months": "1"}
    for lang, date in (("en", "23 December 2026"), ("en-US", "23 December 2026"), ("ru", "23 декабря 2026")):
        headers = BROWSER | {"Accept-Language": lang}
        set_page = client.post("/support/default/reminder", data=form, headers=headers).headers["Location"]
        assert date in visible_text(client.get(set_page, headers=headers).text)


def test_region_applies_only_to_its_own_language() -> None:
    assert regional_language("en", "en-GB") == "en-GB"
    assert regional_language("ru", "en-GB") == "ru"
    assert regional_language("en-US", "en-GB") == "en-US"
    assert format_long_date(datetime.date(2026, 12, 26), "en-GB") == "26 December 2026".replace(
        " ", "\N{NO-BREAK SPACE}"
    )


def test_open_graph_locale_has_a_region() -> None:
    found = {lang: open_graph_locale(lang) for lang in ("en", "en-GB", "ru", "uk", "ar", "pt-BR")}
    assert found == {
        "en": "en_US",
        "en-GB": "en_GB",
        "ru": "ru_RU",
        "uk": "uk_UA",
        "ar": "ar_EG",
        "pt-BR": "pt_BR",
    }


def test_long_description_ends_at_a_word() -> None:
    assert shorten("one two three", 13) == "one two three"
    assert shorten("one two three", 12) == "one two…"
    assert shorten("x" * 30, 10) == "…"


def test_thank_you_page_is_not_for_search_engines(client: FlaskClient, container: Container) -> None:
    pledge_id = post_pledge(client).json["id"]
    pay_pledge(container, pledge_id)
    html = client.get(f"/support/default/thank-you?pledge={pledge_id}").text
    assert '<meta name="robots" content="noindex">' in html
    assert "og:" not in html
