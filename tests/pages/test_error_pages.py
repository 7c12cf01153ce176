"""What people see when something is refused, where programs get a problem."""

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
    ("accept", "kind"),
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
def test_who_would_rather_read_a_page_gets_one(client: FlaskClient, accept: str, kind: str) -> None:
    response = client.get("/support/nowhere", headers={"Accept": accept})
    assert (response.status_code, response.content_type) == (404, kind)
    assert "Accept" in response.vary
    assert response.headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/v1/campaigns/nowhere", "/v1/nothing", "/v1/pledges", "/v1/admin/summary"])
def test_the_api_answers_programs_whoever_asks(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers=BROWSER).content_type == PROBLEM


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/nothing", "There is nothing here"),
        ("/support/nowhere", "This appeal does not exist"),
        ("/r/nothing", "This reminder link does not work any more"),
        ("/sandbox/checkout/nothing", "We cannot find this gift"),
    ],
)
def test_what_is_missing_is_called_by_its_name(client: FlaskClient, path: str, words: str) -> None:
    response = client.get(path, headers=BROWSER)
    assert response.status_code == 404
    assert words in visible_text(response.text)


def test_a_refusal_is_in_the_readers_language(client: FlaskClient) -> None:
    response = client.get("/nothing", headers=BROWSER | {"Accept-Language": "ru"})
    assert "Здесь ничего нет" in visible_text(response.text)


def test_a_method_that_a_page_does_not_take_is_refused_with_the_ones_it_does(client: FlaskClient) -> None:
    response = client.post("/demo", headers=BROWSER)
    assert (response.status_code, response.content_type) == (405, HTML)
    assert "GET" in response.headers["Allow"]


def test_a_body_that_is_too_large_is_refused(client: FlaskClient) -> None:
    response = client.post("/support/default", data={"email": "x" * 70_000}, headers=BROWSER)
    assert (response.status_code, response.content_type) == (413, HTML)


@pytest.mark.parametrize("path", ["/support/default", "/support/default/reminder"])
def test_who_asks_too_often_is_told_when_to_come_back(
    container: Container, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def refuse(action: str, asker: str) -> None:
        raise TooManyRequests("Too many requests.", retry_after_seconds=17)

    monkeypatch.setattr(container.rate_limiter, "check", refuse, raising=False)
    response = client.post(path, headers=BROWSER)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "17")
    assert "One moment, please" in visible_text(response.text)


def test_a_fault_of_ours_is_admitted_without_a_traceback(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("secret-of-the-house")

    monkeypatch.setitem(app.view_functions, "support.show_support_page", fail)
    response = client.get("/support/default", headers=BROWSER)
    assert (response.status_code, response.content_type) == (500, HTML)
    assert "Something went wrong on our side" in visible_text(response.text)
    assert response.headers["X-Request-Id"] in response.text
    assert "secret-of-the-house" not in response.text


def test_every_refusal_of_a_rule_has_a_page(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, status in STATUS_BY_ERROR.items():

        def refuse(slug: str, kind: type = kind) -> None:
            raise kind("No.")

        monkeypatch.setitem(app.view_functions, "support.show_support_page", refuse)
        response = client.get("/support/default", headers=BROWSER)
        assert (response.status_code, response.content_type) == (status, HTML), kind
