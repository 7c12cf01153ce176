"""A campaign's own look: in its response, in the stylesheet of its pages, and in the images that they show."""

import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select

from service.commands.demo_campaign import load_demo_campaign
from service.commands.logo_files import prepare_logo
from service.container import Container
from service.db.models.campaign import BrandImage, Campaign
from service.domain.campaigns.brand import (
    UNUSED_IMAGES_KEPT,
    NewImage,
    delete_unused_images,
    email_image_name,
    shown_size,
    store_images,
)
from tests.api.client import assert_problem, auth_headers, campaign_definition
from tests.pages.html import BROWSER

LOGO = NewImage(name=f"{'a' * 32}-640x100.svg", content=b"<svg/>", email_png=b"png")
DARK = NewImage(name=f"{'b' * 32}-100x100.png", content=b"dark", email_png=b"png")


@pytest.fixture(autouse=True)
def _skip_ttl_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.admin.campaigns.wait_for_ttl", lambda: None)
    monkeypatch.setattr("service.domain.campaigns.cache.TTL_SECONDS", 0)


@pytest.fixture(autouse=True)
def _stored_images(container: Container) -> None:
    with container.database.transaction() as session:
        store_images(session, (LOGO, DARK), now=container.clock())


def put(client: FlaskClient, container: Container, **changes: Any) -> Any:
    file = campaign_definition(container) | changes
    return client.put("/v1/admin/campaigns/default", json=file, headers=auth_headers(container, "manage"))


def stored_brand(container: Container) -> dict[str, Any]:
    with container.database.read_only() as session:
        return session.scalars(select(Campaign.brand)).one()


def test_campaign_without_a_brand_has_the_look_of_mainstay(client: FlaskClient, container: Container) -> None:
    assert put(client, container, brand=None).status_code == 200
    assert client.get("/v1/campaigns/default").json["brand"] is None
    assert "/brand/" not in client.get("/support/default").text
    assert client.get("/brand/default.css").text == ""


def test_response_has_the_brand_with_absolute_addresses(client: FlaskClient, container: Container) -> None:
    brand = {"logo": LOGO.name, "logo_dark": DARK.name, "accent": "#FD0", "heading_font": "system"}
    assert put(client, container, brand=brand | {"postal_address": "1 Quay\nPort"}).status_code == 200
    images = container.urls.public_url + "/brand/images/"
    assert client.get("/v1/campaigns/default").json["brand"] == {
        "logo": images + LOGO.name,
        "logo_width": 280,
        "logo_height": 44,
        "logo_dark": images + DARK.name,
        "logo_dark_width": 56,
        "logo_dark_height": 56,
        "accent": "#ffdd00",
        "on_accent": "#1d1b18",
        "accent_hover": "#e9ca00",
        "accent_on_light": "#7e6c00",
        "accent_on_dark": "#ffdd00",
        "heading_font": "system",
        "postal_address": "1 Quay\nPort",
    }


def test_file_round_trips_with_its_brand(client: FlaskClient, container: Container) -> None:
    brand = {"logo": LOGO.name, "logo_dark": DARK.name, "accent": "#8b1e1e", "heading_font": "sans"}
    assert put(client, container, brand=brand).json["brand"] == brand
    file = client.get("/v1/admin/campaigns/default", headers=auth_headers(container, "read")).json
    assert file["brand"] == brand
    assert put(client, container, **file).json == file


@pytest.mark.parametrize(
    ("changes", "brand"),
    [
        ({}, {"logo": LOGO.name}),
        ({"brand": {"accent": "#8b1e1e"}}, {"logo": LOGO.name, "accent": "#8b1e1e"}),
        ({"brand": {"logo": None}}, {}),
        ({"brand": {"logo": DARK.name}}, {"logo": DARK.name}),
        ({"brand": None}, {}),
    ],
)
def test_only_null_removes_a_logo(
    client: FlaskClient, container: Container, changes: dict[str, Any], brand: dict[str, Any]
) -> None:
    """A file that was written before a logo was uploaded does not lose it."""
    put(client, container, brand=None)
    file = campaign_definition(container)
    put(client, container, brand={"logo": LOGO.name, "heading_font": "sans"})
    headers = auth_headers(container, "manage")
    response = client.put("/v1/admin/campaigns/default", json=file | changes, headers=headers)
    assert response.status_code == 200
    assert stored_brand(container) == brand


def test_image_that_is_not_stored_is_refused(client: FlaskClient, container: Container) -> None:
    before = stored_brand(container)
    response = put(client, container, brand={"logo_dark": f"{'c' * 32}-1x1.png"})
    assert_problem(response, 422, "image_not_found", says="mainstay campaign brand --logo-dark FILE")
    assert stored_brand(container) == before


def test_unreadable_accent_is_refused(client: FlaskClient, container: Container) -> None:
    response = put(client, container, brand={"accent": "#ffd500", "on_accent": "#ffffff"})
    assert_problem(response, 422, "validation_failed")
    assert "1.42:1 and needs 4.5:1" in response.json["errors"]["brand.accent"][0]


def test_page_links_a_stylesheet_that_never_changes(client: FlaskClient, container: Container) -> None:
    put(client, container, brand={"accent": "#8b1e1e", "heading_font": "sans"})
    page = client.get("/support/default")
    [url] = re.findall(r'<link rel="stylesheet" href="(/brand/[^"]+)">', page.text)
    assert page.text.index("/static/pages.css") < page.text.index(url)
    assert "style-src 'self';" in page.headers["Content-Security-Policy"]
    response = client.get(url)
    assert response.content_type == "text/css; charset=utf-8"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "--accent: #8b1e1e;" in response.text
    assert "prefers-color-scheme: dark" in response.text
    assert client.get(url, headers={"If-None-Match": response.headers["ETag"]}).status_code == 304
    assert client.get("/brand/default.css?v=older").headers["Cache-Control"] == "no-cache"
    put(client, container, brand={"accent": "#8b1e1f", "heading_font": "sans"})
    assert url not in client.get("/support/default").text
    assert client.get("/brand/nothing.css").status_code == 404


@pytest.mark.parametrize("path", ["/support/default", "/me", "/support/default/thank-you"])
def test_pages_show_the_logo_in_the_place_of_the_name(
    client: FlaskClient, container: Container, path: str
) -> None:
    put(client, container, brand={"logo": LOGO.name, "logo_dark": DARK.name})
    # The last of them is an error page, because it names no pledge.
    masthead = re.search(
        r'<header class="masthead">.*?</header>', client.get(path, headers=BROWSER).text, re.DOTALL
    )
    assert masthead
    assert (
        f'<source srcset="/brand/images/{DARK.name}" width="56" height="56" '
        f'media="screen and (prefers-color-scheme: dark)">'
        f'<img class="logo" src="/brand/images/{LOGO.name}" width="280" height="44" alt="The Harbour Lantern">'
    ) in client.get(path, headers=BROWSER).text
    put(client, container, brand={"logo": LOGO.name, "logo_dark": None})
    # Without a logo for dark mode it has a light ground there.
    assert (
        f'<img class="logo logo-plate" src="/brand/images/{LOGO.name}"' in client.get(path, headers=BROWSER).text
    )


def test_demo_has_logos_as_the_command_stores_them(client: FlaskClient) -> None:
    for name in load_demo_campaign().images:
        assert prepare_logo(name.content).image.name == name.name
        assert client.get(f"/brand/images/{name.name}").data == name.content
        email = client.get(f"/brand/images/{email_image_name(name.name)}").data
        assert Image.open(io.BytesIO(email)).size == tuple(2 * side for side in shown_size(name.name))


def test_image_is_served_to_any_site_and_runs_nothing(client: FlaskClient) -> None:
    response = client.get(f"/brand/images/{LOGO.name}", headers={"Origin": "https://paper.example"})
    assert (response.data, response.content_type) == (LOGO.content, "image/svg+xml")
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    )
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    again = client.get(f"/brand/images/{LOGO.name}", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    email = client.get(f"/brand/images/{email_image_name(LOGO.name)}")
    assert (email.data, email.content_type) == (LOGO.email_png, "image/png")


@pytest.mark.parametrize("name", ["nothing.svg", "nothing", "%00.svg", f"{'c' * 32}-1x1.png"])
def test_other_images_are_not_found(client: FlaskClient, name: str) -> None:
    assert client.get(f"/brand/images/{name}").status_code == 404


def test_images_are_deleted_long_after_no_campaign_uses_them(client: FlaskClient, container: Container) -> None:
    def names() -> set[str]:
        with container.database.read_only() as session:
            return set(session.scalars(select(BrandImage.name)))

    put(client, container, brand={"logo": LOGO.name, "logo_dark": None})
    now = container.clock()
    with container.database.transaction() as session:
        assert delete_unused_images(session, now=now + UNUSED_IMAGES_KEPT) == 0
        # The other logos of these tests, and those of the demo.
        assert delete_unused_images(session, now=now + UNUSED_IMAGES_KEPT * 1.5) == 3
    assert names() == {LOGO.name}
    put(client, container, brand={"logo": None})
    with container.database.transaction() as session:
        assert delete_unused_images(session, now=now + UNUSED_IMAGES_KEPT * 2) == 0
        assert delete_unused_images(session, now=now + UNUSED_IMAGES_KEPT * 3) == 1
    assert names() == set()
