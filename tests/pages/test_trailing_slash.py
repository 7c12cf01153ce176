"""A page's address with a slash at its end leads to the page."""

import pytest
from flask.testing import FlaskClient

BROWSER = {"Accept": "text/html"}


@pytest.mark.parametrize(
    ("typed", "location"),
    [
        ("/support/default/", "/support/default"),
        ("/support/default//", "/support/default"),
        ("/support/default/?frequency=once&amount=500", "/support/default?frequency=once&amount=500"),
        ("/support/default/thank-you/?pledge=1", "/support/default/thank-you?pledge=1"),
        ("/support/%D0%B3%D0%B0%D0%B7/", "/support/%D0%B3%D0%B0%D0%B7"),
        ("/me/", "/me"),
        ("/me/enter/token/", "/me/enter/token"),
        ("/r/token/", "/r/token"),
        ("/p/token/", "/p/token"),
        ("/docs/", "/docs"),
        ("/demo/", "/demo"),
    ],
)
def test_page_with_a_slash_redirects_to_the_page(client: FlaskClient, typed: str, location: str) -> None:
    response = client.get(typed, headers=BROWSER)
    assert (response.status_code, response.headers["Location"]) == (308, location)
    assert response.headers["Cache-Control"] == "no-store"


def test_form_with_a_slash_keeps_its_method(client: FlaskClient) -> None:
    response = client.post("/me/", data={"email": "reader@example.org"}, headers=BROWSER)
    assert (response.status_code, response.headers["Location"]) == (308, "/me")
    followed = client.post("/me/", data={"email": "reader@example.org"}, headers=BROWSER, follow_redirects=True)
    assert followed.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/nothing/",
        "/support/",
        "//evil.example/",
        "//evil.example//",
        "/\\evil.example/",
        "/support//evil.example/",
        "/v1/campaigns/default/",
        "/v1/pledges/",
        "/healthz/",
        "/openapi.json/",
    ],
)
def test_what_exists_in_neither_form_is_not_found(client: FlaskClient, path: str) -> None:
    # A client of tests would take what follows two slashes for the host.
    response = client.get("/", headers=BROWSER, environ_overrides={"PATH_INFO": path})
    assert (response.status_code, response.headers.get("Location")) == (404, None)


def test_page_without_a_slash_is_shown_at_once(client: FlaskClient) -> None:
    assert client.get("/support/default", headers=BROWSER).status_code == 200
    assert client.get("/", headers=BROWSER).status_code in (200, 302, 303, 308, 404)
