"""Rules for every page: security headers, no cookies, no external resources, and valid document structure."""

import re
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service.container import Container
from service.db.models.email_change import EmailChange
from service.db.models.erasure import ErasureRequest
from service.db.models.pledge import Pledge
from service.domain.email_changes import (
    UNDO_TTL,
    add_confirmed_change,
    email_change_token,
    request_email_change,
    undo_token,
)
from service.domain.erasure_requests import erasure_token, request_own_erasure
from service.settings import Settings
from tests.api.client import pay_pledge, post_pledge, post_reminder, reminder_token_for
from tests.conftest import LOCAL_URL, settings_for
from tests.gateways.emails import send
from tests.pages.accounts import pledge_link, request_link, sign_in_link, the_payment
from tests.pages.html import BROWSER, path_of, visible_text

PAGES = (
    "/demo",
    "/demo/widgets",
    "/docs",
    "/dev/outbox",
    "/dev/outbox/email",
    "/support/default",
    "/support/default/reminder-set",
    "/support/default/thank-you",
    "/support/default/not-charged",
    "/sandbox/checkout",
    "/r",
    "/me",
    "/me/sent",
    "/me/enter",
    "/me/email/done",
    "/me/email/undone",
    "/me/email/undo",
    "/me/email",
    "/me/erase",
    "/p",
    "/p/cancel",
    "/p/amount",
    "/p/receipts",
    "/nothing",
)


WITH_SCRIPT = (
    "/demo",
    "/demo/widgets",
    "/docs",
    "/nothing",
    "/support/default",
    "/support/default/thank-you",
    "/p/receipts",
)


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    return settings_for(migrated_database, PUBLIC_URL=LOCAL_URL)


@pytest.fixture
def paths(container: Container, client: FlaskClient) -> dict[str, str]:
    """Return the full path of each page that needs a token or an id."""
    pledge = post_pledge(client).json
    pay_pledge(container, pledge["id"])
    post_reminder(client, email="reader@example.org")
    send(container.mailers[0])
    email = re.search(r'href="(/dev/outbox/[^"]+)"', client.get("/dev/outbox").text)
    assert email is not None
    pledge_path, payment_id = pledge_link(container, pledge["id"]), the_payment(container)
    sent = request_link(client).headers["Location"]
    form = {"email": "reader@example.org", "months": "1"}
    reminder_set = client.post("/support/default/reminder", data=form).headers["Location"]
    with container.database.transaction() as session:
        supporter_id = session.scalars(select(Pledge.supporter_id)).one()
        undo_until = container.clock() + UNDO_TTL
        undone, done = (
            add_confirmed_change(session, supporter_id, old=old, new=new, now=container.clock())
            for old, new in (("new@example.org", "reader@example.org"), ("reader@example.org", "new@example.org"))
        )
        done.undo_until = undo_until
        undone_token, undo = (
            undo_token(container.database.keyring, each.id, undo_until) for each in (undone, done)
        )
        done_token = email_change_token(container.database.keyring, done.id, done.requested_at)
        request_email_change(session, supporter_id, "new@example.org", lang="en", now=container.clock())
        change = session.scalars(select(EmailChange).where(EmailChange.confirmed_at.is_(None))).one()
        token = email_change_token(container.database.keyring, change.id, change.requested_at)
        request_own_erasure(session, supporter_id, lang="en", now=container.clock())
        asked = session.scalars(select(ErasureRequest)).one()
        erase_token = erasure_token(container.database.keyring, asked.id, asked.requested_at)
    return {
        "/me/email": f"/me/email/{token}",
        "/me/email/done": f"/me/email/{done_token}",
        "/me/email/undo": f"/me/email/undo/{undo}",
        "/me/email/undone": f"/me/email/undo/{undone_token}",
        "/me/sent": sent,
        "/support/default/reminder-set": reminder_set,
        "/me/erase": f"/me/erase/{erase_token}",
        "/me/enter": f"/me/enter/{sign_in_link(container)}",
        "/p": pledge_path,
        "/p/cancel": f"{pledge_path}/cancel",
        "/p/amount": f"{pledge_path}/amount",
        "/p/receipts": f"{pledge_path}/receipts/{payment_id}",
        "/dev/outbox/email": email[1],
        "/support/default/thank-you": f"/support/default/thank-you?pledge={pledge['id']}",
        "/support/default/not-charged": f"/support/default/not-charged?pledge={post_pledge(client).json['id']}",
        "/sandbox/checkout": path_of(pledge["checkout_url"]),
        "/r": f"/r/{reminder_token_for(container, 'reader@example.org')}",
    }


def policy_of(header: str) -> dict[str, str]:
    """Return a Content-Security-Policy as a mapping of directive to its sources."""
    return dict(directive.strip().partition(" ")[::2] for directive in header.split(";"))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("lang", ["en", "ru"])
def test_page_has_security_headers(client: FlaskClient, paths: dict[str, str], page: str, lang: str) -> None:
    response = client.get(paths.get(page, page), headers=BROWSER | {"Accept-Language": lang})
    assert response.status_code == (404 if page == "/nothing" else 200)
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in response.headers
    policy = policy_of(response.headers["Content-Security-Policy"])
    assert policy["default-src"] == "'none'"
    assert policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert policy["form-action"] == f"'self' {LOCAL_URL}"
    assert policy.get("script-src") == ("'self'" if page in WITH_SCRIPT else None)
    assert "unsafe" not in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("page", PAGES)
def test_page_loads_only_local_files(client: FlaskClient, paths: dict[str, str], page: str) -> None:
    html = client.get(paths.get(page, page), headers=BROWSER).text
    loaded = re.findall(r'(?:\ssrc|<link rel="(?:icon|stylesheet|apple-touch-icon)"[^>]*\shref)="([^"]+)"', html)
    assert loaded
    assert all(not urlsplit(url).netloc for url in loaded)
    assert " style=" not in html
    assert "<style" not in html
    assert not re.search(r"\son[a-z]+=", html)


@pytest.mark.parametrize("page", PAGES)
def test_page_has_valid_structure(client: FlaskClient, paths: dict[str, str], page: str) -> None:
    html = client.get(paths.get(page, page), headers=BROWSER).text
    assert html.startswith("<!DOCTYPE html>")
    assert html.count("<h1") == 1
    assert re.search(r"<title>\S[^<]* – (The Harbour Lantern|Mainstay)</title>", html)
    assert re.search(r'<html lang="en" dir="ltr">', html)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'(?:\sfor|href)="#?([a-z-]+)"', html):
        assert target in ids or target.startswith("/")


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ("/docs", "/demo/widgets")])
@pytest.mark.parametrize("lang", ["en", "ru"])
def test_page_shows_no_identifier(client: FlaskClient, paths: dict[str, str], page: str, lang: str) -> None:
    """A search and replace over the code must not reach the prose of the templates."""
    shown = visible_text(client.get(paths.get(page, page), headers=BROWSER | {"Accept-Language": lang}).text)
    assert shown
    assert re.findall(r"\b[a-z]+_[a-z_]+\b", shown) == []


@pytest.mark.parametrize("page", PAGES)
def test_only_the_support_page_may_be_found(client: FlaskClient, paths: dict[str, str], page: str) -> None:
    html = client.get(paths.get(page, page), headers=BROWSER).text
    is_public = page == "/support/default"
    assert ('<meta name="robots" content="noindex">' not in html) == is_public
    assert ('<link rel="canonical"' in html) == is_public
    assert '<link rel="apple-touch-icon" href="/static/apple-touch-icon.png?v=' in html
    assert html.count('<meta name="theme-color"') == 2


def test_root_redirects_to_the_support_page(client: FlaskClient) -> None:
    response = client.get("/")
    assert (response.status_code, response.headers["Location"]) == (302, "/support/default")


def test_demo_has_notice_and_support_box(client: FlaskClient) -> None:
    page = client.get("/demo").text
    assert "The paper, the town and the story are made up" in page
    assert '<script type="module" src="/widget/v1.js"></script>' in page
    assert '<support-box campaign="default"><a href="/support/default">' in page
    assert '<html lang="ru"' in client.get("/demo?lang=ru").text


def test_demo_article_has_its_own_language_and_direction(client: FlaskClient) -> None:
    assert '<article class="article" lang="en" dir="ltr">' in client.get("/demo?lang=ar").text
    for lang in ("en", "ru"):
        assert '<article class="article">' in client.get(f"/demo?lang={lang}").text
