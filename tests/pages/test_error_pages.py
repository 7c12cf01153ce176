"""Error pages for browsers, and problem details for other clients."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.api.problems import STATUS_BY_ERROR
from service.container import Container
from service.domain.errors import TooManyRequests
from tests.pages.html import BROWSER, visible_text

PROBLEM = "application/problem+json"
HTML = "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("text/html", HTML),
        ("application/json;q=0.5, text/html", HTML),
        ("*/*", PROBLEM),
        ("", PROBLEM),
        ("application/json", PROBLEM),
        ("application/json, text/html;q=0.5", PROBLEM),
        ("application/problem+json, text/html;q=0.9", PROBLEM),
        ("text/*", PROBLEM),
        ("text/html;q=0, */*", PROBLEM),
    ],
)
def test_accept_header_selects_page_or_problem(client: FlaskClient, accept: str, content_type: str) -> None:
    response = client.get("/support/nowhere", headers={"Accept": accept})
    assert (response.status_code, response.content_type) == (404, content_type)
    assert "Accept" in response.vary
    assert response.headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/v1/campaigns/nowhere", "/v1/nothing", "/v1/pledges", "/v1/admin/summary"])
def test_api_paths_return_problems_to_browsers_too(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers=BROWSER).content_type == PROBLEM


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/nothing", "Page not found"),
        ("/support/nowhere", "Support page not found"),
        ("/r/nothing", "This reminder link doesn’t work"),
        ("/sandbox/checkout/nothing", "Donation not found"),
    ],
)
def test_not_found_page_names_what_is_missing(client: FlaskClient, path: str, title: str) -> None:
    response = client.get(path, headers=BROWSER)
    assert response.status_code == 404
    assert title in visible_text(response.text)


def test_error_page_is_translated(client: FlaskClient) -> None:
    response = client.get("/nothing", headers=BROWSER | {"Accept-Language": "ru"})
    assert "Страница не найдена" in visible_text(response.text)


def test_method_not_allowed_page_keeps_the_allow_header(client: FlaskClient) -> None:
    response = client.post("/demo", headers=BROWSER)
    assert (response.status_code, response.content_type) == (405, HTML)
    assert "GET" in response.headers["Allow"]


def test_oversized_body_gets_an_error_page(client: FlaskClient) -> None:
    response = client.post("/support/default", data={"email": "x" * 70_000}, headers=BROWSER)
    assert (response.status_code, response.content_type) == (413, HTML)


@pytest.mark.parametrize("path", ["/support/default", "/support/default/reminder"])
def test_rate_limit_page_keeps_the_retry_after_header(
    container: Container, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def reject(action: str, network: str) -> None:
        raise TooManyRequests("Too many requests.", retry_after_seconds=17)

    monkeypatch.setattr(container.rate_limiter, "check", reject, raising=False)
    response = client.post(path, headers=BROWSER)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "17")
    assert "One moment, please" in visible_text(response.text)


def test_server_error_page_hides_the_exception(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("secret-detail")

    monkeypatch.setitem(app.view_functions, "support.show_support_page", fail)
    response = client.get("/support/default", headers=BROWSER)
    assert (response.status_code, response.content_type) == (500, HTML)
    assert "Something went wrong on our side" in visible_text(response.text)
    assert response.headers["X-Request-Id"] in response.text
    assert "secret-detail" not in response.text


def test_every_domain_error_has_an_error_page(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error_type, status in STATUS_BY_ERROR.items():

        def fail(slug: str, error_type: type = error_type) -> None:
            raise error_type("No.")

        monkeypatch.setitem(app.view_functions, "support.show_support_page", fail)
        response = client.get("/support/default", headers=BROWSER)
        assert (response.status_code, response.content_type) == (status, HTML), error_type
