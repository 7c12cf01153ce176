"""Headers of every answer: what may be stored, HTTPS only, and what pages may use of the browser."""

import dataclasses
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from service.app import create_app
from service.container import Container
from service.settings import Settings
from tests.api.client import auth_headers, pay_pledge, post_pledge, post_reminder, reminder_token_for
from tests.api.test_real_server import send_raw
from tests.conftest import LOCAL_URL, settings_for
from tests.pages.html import BROWSER, path_of
from tests.processes import web

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# What may be stored, and only if the request succeeds.
CACHEABLE = {
    "/v1/campaigns/<slug>": "public, max-age=60, stale-while-revalidate=600",
    "/widget/v1.js": "public, max-age=300, stale-while-revalidate=86400",
    "/static/<name>": "no-cache",
    "/brand/<slug>.css": "no-cache",
    "/robots.txt": "public, max-age=86400",
    "/favicon.ico": "public, max-age=86400",
    "/apple-touch-icon.png": "public, max-age=86400",
}
VALUES = {"slug": "default", "name": "pages.css"}


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    return settings_for(migrated_database, PUBLIC_URL=LOCAL_URL)


def path_for(rule: Rule) -> str:
    """Return a path that the rule matches."""

    def value(match: re.Match[str]) -> str:
        converter, _, name = match[1].rpartition(":")
        return str(uuid.uuid4()) if converter == "uuid" else VALUES.get(name, "nothing")

    return re.sub(r"<([^>]+)>", value, rule.rule)


def cache_control(response: TestResponse) -> str:
    """Return the only Cache-Control header."""
    [header] = response.headers.getlist("Cache-Control")
    return header


def assert_stored_only_if_allowed(rule: str | None, method: str, response: TestResponse) -> None:
    may_be_stored = rule in CACHEABLE and method in ("GET", "HEAD") and response.status_code in (200, 304)
    assert cache_control(response) == (CACHEABLE[rule] if may_be_stored else "no-store"), (rule, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("who", ["anybody", "staff", "a browser", "another site"])
def test_no_answer_may_be_stored_unless_it_says_so(
    app: Flask, client: FlaskClient, container: Container, method: str, who: str
) -> None:
    headers = {
        "anybody": {},
        "staff": auth_headers(container, "read", "export", "manage"),
        "a browser": BROWSER,
        "another site": {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"},
    }[who]
    rules = list(app.url_map.iter_rules())
    assert len(rules) > 60
    for rule in rules:
        response = client.open(path_for(rule), method=method, headers=headers)
        assert_stored_only_if_allowed(rule.rule, method, response)


def real_paths(client: FlaskClient, container: Container) -> Iterator[str]:
    """Yield the paths of resources that exist, with readers' tokens in them."""
    pledge = post_pledge(client).json
    pay_pledge(container, pledge["id"])
    post_reminder(client)
    yield f"/v1/pledges/{pledge['id']}"
    yield f"/v1/admin/pledges/{pledge['id']}/payments"
    yield f"/support/default/thank-you?pledge={pledge['id']}&checkout=done"
    yield path_of(pledge["checkout_url"])
    yield f"/r/{reminder_token_for(container, 'reader@example.org')}"
    yield from ("/", "/me", "/nothing", "/openapi.json", "/docs", "/v1/admin/pledges/export?format=csv")


def test_answers_about_readers_may_not_be_stored(client: FlaskClient, container: Container) -> None:
    staff = auth_headers(container, "read", "export")
    for path in real_paths(client, container):
        for method in ("GET", "HEAD"):
            assert cache_control(client.open(path, method=method, headers=staff)) == "no-store", path


@pytest.mark.parametrize("path", ["/v1/campaigns/default", "/widget/v1.js", "/static/pages.css"])
def test_unchanged_answer_says_as_the_first_what_may_be_stored(client: FlaskClient, path: str) -> None:
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, cache_control(again)) == (304, cache_control(first))


@pytest.mark.parametrize(
    "path",
    ["/v1/campaigns/none", "/static/none.css", "/static/v1.js", "/widget/none.js", "/v1/campaigns/default/"],
)
def test_not_found_may_not_be_stored(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, cache_control(response)) == (404, "no-store")


def test_error_of_cacheable_resource_may_not_be_stored(client: FlaskClient) -> None:
    response = client.get("/v1/campaigns/default", data=b"x" * 70_000)
    assert (response.status_code, cache_control(response)) == (413, "no-store")


@pytest.mark.parametrize(
    ("public_url", "header"),
    [
        ("https://support.paper.example", "max-age=31536000"),
        ("https://support.paper.example:8443", "max-age=31536000"),
        ("http://desk.test", None),
        ("http://localhost:8000", None),
    ],
)
def test_https_installation_asks_browsers_to_stay_on_https(
    container: Container, public_url: str, header: str | None
) -> None:
    settings = dataclasses.replace(container.settings, public_url=public_url)
    client = create_app(dataclasses.replace(container, settings=settings)).test_client()
    for path in ("/healthz", "/support/default", "/nothing", "/", "/widget/v1.js", "/v1/admin/summary"):
        assert client.get(path).headers.get("Strict-Transport-Security") == header, path


@pytest.mark.parametrize("path", ["/support/default", "/docs", "/me", "/demo", "/dev/outbox", "/nothing"])
def test_page_may_use_no_device_and_no_payment_request(client: FlaskClient, path: str) -> None:
    header = client.get(path, headers=BROWSER).headers["Permissions-Policy"]
    policy = dict(directive.split("=") for directive in header.split(", "))
    assert {"camera", "microphone", "geolocation", "payment", "usb"} <= policy.keys()
    assert set(policy.values()) == {"()"}


def test_unreadable_request_may_not_be_stored(
    container: Container, migrated_database: str, tmp_path: Path
) -> None:
    with web(migrated_database, tmp_path / "log") as base:
        for request in (b"nonsense\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n"):
            response = send_raw(base, request)
            assert response.startswith(b"HTTP/1.1 400")
            assert b"\r\nCache-Control: no-store\r\n" in response
