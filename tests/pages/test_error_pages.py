"""Error pages for browsers, and problem details for other clients."""

import datetime
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from service.api.problems import STATUS_BY_ERROR
from service.container import Container
from service.domain.errors import DueDateOutOfRange, TooManyRequests
from service.pages.error_pages import reference_for
from tests.api.client import update_campaign
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
    assert "17 seconds" in visible_text(response.text)
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
    assert reference_for(response.headers["X-Request-Id"]) in visible_text(response.text)
    assert '<a class="main-button" href="/support/default">' in response.text
    assert "secret-detail" not in response.text


def test_every_domain_error_has_an_error_page(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error_type, status in STATUS_BY_ERROR.items():

        def fail(slug: str, error_type: type = error_type) -> None:
            if error_type is DueDateOutOfRange:
                raise DueDateOutOfRange(datetime.date.min, datetime.date.max)
            raise error_type("No.")

        monkeypatch.setitem(app.view_functions, "support.show_support_page", fail)
        response = client.get("/support/default", headers=BROWSER)
        assert (response.status_code, response.content_type) == (status, HTML), error_type


@pytest.mark.parametrize(
    ("seconds", "lang", "wait"),
    [
        (1, "en", "in 1 second."),
        (119, "en", "in 119 seconds."),
        (120, "en", "in 2 minutes."),
        (121, "en", "in 3 minutes."),
        (3600, "ru", "через 60 минут."),
        (2, "ru", "через 2 секунды."),
    ],
)
def test_page_says_how_long_to_wait(
    container: Container, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, seconds: int, lang: str, wait: str
) -> None:
    def reject(action: str, network: str) -> None:
        raise TooManyRequests("Too many requests.", retry_after_seconds=seconds)

    monkeypatch.setattr(container.rate_limiter, "check", reject, raising=False)
    response = client.post("/support/default", headers=BROWSER | {"Accept-Language": lang})
    assert wait in visible_text(response.text)
    # The form cannot be sent again by a link, so it leads to the page of the form.
    assert '<a class="main-button" href="/support/default">' in response.text


def test_page_leads_to_the_support_page_and_to_the_newsroom(container: Container, client: FlaskClient) -> None:
    update_campaign(container, contact_url="https://paper.example/contact?a=1&b=2", name="The Tide")
    for path in ("/nothing", "/support/default/nothing", "/support/nowhere"):
        html = client.get(path, headers=BROWSER).text
        assert 'href="/support/default?lang=en"' in html
        assert 'href="https://paper.example/contact?a=1&amp;b=2"' in html
        assert " – The Tide</title>" in html


def test_page_without_a_contact_has_no_link_to_one(client: FlaskClient) -> None:
    html = client.get("/nothing", headers=BROWSER).text
    assert "Contact us" not in visible_text(html)


@pytest.mark.parametrize("path", ["/nothing", "/support/nowhere"])
def test_missing_page_cannot_be_tried_again(client: FlaskClient, path: str) -> None:
    assert "Try again" not in visible_text(client.get(path, headers=BROWSER).text)


@pytest.mark.parametrize("is_known", [True, False])
def test_page_asks_no_database_that_is_down(
    app: Flask, container: Container, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    if is_known:
        update_campaign(container, contact_url="https://paper.example/contact")
        container.campaign_cache.get("default")

    def fail(**_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("the database is down"))

    def refuse() -> None:
        pytest.fail("The page asks the database.")

    monkeypatch.setitem(app.view_functions, "reminder_pages.show_reminder", fail)
    monkeypatch.setattr(container.campaign_cache, "_read_only", refuse)
    monkeypatch.setattr("service.pages.error_pages.read_only", refuse)
    response = client.get("/r/token?lang=en&x=%22", headers=BROWSER)
    assert (response.status_code, response.content_type) == (503, HTML)
    assert '<a class="main-button" href="/r/token?lang=en&amp;x=%22">' in response.text
    assert ('href="/support/default?lang=en"' in response.text) == is_known
    assert ('href="/?lang=en"' in response.text) == (not is_known)
    assert ("https://paper.example/contact" in response.text) == is_known


def test_retry_link_never_leads_to_another_host(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError

    before = app.before_request_funcs.get(None, [])
    monkeypatch.setitem(app.before_request_funcs, None, [fail, *before])
    response = client.get("//evil.example/path", base_url="http://desk.test", headers=BROWSER)
    assert response.status_code == 500
    assert "//evil.example" not in response.text.replace("http://", "")


def test_reference_is_short_and_in_the_log(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    response = client.get("/nothing", headers=BROWSER | {"X-Request-Id": "request-0000000001"})
    reference = reference_for("request-0000000001")
    assert len(reference) == 8
    assert reference != reference_for("request-0000000002")
    assert re.search(rf'<button[^>]* data-copy="{reference}"[^>]*>Copy</button>', response.text)
    assert f"reference={reference}" in capsys.readouterr().out
    client.get("/support/default")
    assert "reference=" not in capsys.readouterr().out
