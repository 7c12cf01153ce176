"""How often a link can be asked for: the same for those whom we know and those whom we do not."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.models.sign_in import SignIn
from service.settings import Settings
from tests.api.client import count
from tests.clock import FakeClock
from tests.conftest import reset_database, settings_for
from tests.pages.accounts import create_paid_pledge, request_link, sign_in_link
from tests.pages.html import visible_text


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    return settings_for(migrated_database, RATE_LIMIT="1000/second", PUBLIC_URL="https://desk.test")


@pytest.fixture
def container(settings: Settings, clock: FakeClock) -> Iterator[Container]:
    container = build_container(settings, clock=clock)
    reset_database(container)
    yield container
    container.database.engine.dispose()


@pytest.fixture
def app(container: Container) -> Flask:
    return create_app(container)


@pytest.mark.parametrize("is_known", [True, False])
def test_one_address_gets_five_links_an_hour(container: Container, client: FlaskClient, is_known: bool) -> None:
    if is_known:
        create_paid_pledge(container, client)
    for spelling in ("reader@example.org", "Reader@example.org", " reader@EXAMPLE.org", "READER@example.org") * 2:
        last = request_link(client, spelling)
    assert last.status_code == 429
    assert int(last.headers["Retry-After"]) > 60
    assert "asked for too often" in visible_text(last.text)
    assert count(container, SignIn) == 5


def test_one_network_asks_twenty_times_an_hour(container: Container, client: FlaskClient) -> None:
    responses = [request_link(client, f"reader{number}@example.org").status_code for number in range(22)]
    assert responses == [303] * 20 + [429] * 2
    elsewhere = client.post("/me", data={"email": "x@example.org"}, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 303


def test_over_https_the_cookie_is_of_this_host_and_secure(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    request_link(client)
    cookie = client.post(f"/me/enter/{sign_in_link(container)}").headers["Set-Cookie"]
    assert cookie.startswith("__Host-mainstay_reader=")
    assert "Secure" in cookie
    assert "Path=/" in cookie


@pytest.fixture
def strict_client(migrated_database: str, container: Container, clock: FakeClock) -> Iterator[FlaskClient]:
    """Return a client of a desk that takes three requests an hour of each kind from one network."""
    strict = build_container(settings_for(migrated_database, RATE_LIMIT="3/hour"), clock=clock)
    yield create_app(strict).test_client()
    strict.database.engine.dispose()


def test_links_are_guessed_no_more_often_than_the_limit_allows(
    container: Container, strict_client: FlaskClient
) -> None:
    guesses = [strict_client.post(f"/me/enter/{'a' * 42}{number}") for number in range(4)]
    assert [guess.status_code for guess in guesses] == [404] * 3 + [429]
    assert int(guesses[-1].headers["Retry-After"]) > 0
    elsewhere = strict_client.post("/me/enter/x", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 404


def test_a_right_link_is_not_taken_either_once_the_limit_is_reached(
    container: Container, client: FlaskClient, strict_client: FlaskClient
) -> None:
    create_paid_pledge(container, client)
    request_link(client)
    token = sign_in_link(container)
    for _ in range(3):
        strict_client.post("/me/enter/x")
    refused = strict_client.post(f"/me/enter/{token}")
    assert (refused.status_code, "Set-Cookie" in refused.headers) == (429, False)
    # It was not used up by that.
    assert client.post(f"/me/enter/{token}").status_code == 303
