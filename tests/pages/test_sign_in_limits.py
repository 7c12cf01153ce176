"""Rate limits of sign-in, the same for known and unknown addresses."""

import datetime
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.models.sign_in import SignIn
from service.domain.sign_in import LINK_TTL
from service.settings import Settings
from tests.api.client import count
from tests.clock import FakeClock
from tests.conftest import reset_database, settings_for
from tests.pages.accounts import create_paid_pledge, request_link, sign_in_link
from tests.pages.html import without_signature


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


SPELLINGS = ("reader@example.org", "Reader@example.org", " reader@EXAMPLE.org", "READER+x@example.org")


@pytest.mark.parametrize("is_known", [True, False])
def test_address_over_its_limit_is_answered_as_usual_and_gets_no_email(
    container: Container, client: FlaskClient, is_known: bool
) -> None:
    if is_known:
        create_paid_pledge(container, client)
    responses = [request_link(client, spelling) for spelling in SPELLINGS * 2]
    assert {without_signature(response.headers["Location"]) for response in responses} == {"/me?sent=yes"}
    assert count(container, SignIn) == 5


def test_nobody_can_lock_out_the_owner_of_an_address(
    container: Container, client: FlaskClient, clock: FakeClock
) -> None:
    create_paid_pledge(container, client)
    networks = iter(range(100))

    def ask() -> None:
        """Ask for a link from another network each time."""
        remote = {"REMOTE_ADDR": f"198.{next(networks)}.100.7"}
        response = client.post("/me", data={"email": "reader@example.org"}, environ_base=remote)
        assert response.status_code == 303

    for _ in range(10):
        ask()
    # The newest link stays valid, however often somebody asks.
    newest = sign_in_link(container)
    for _ in range(5):
        ask()
    assert client.get(f"/me/enter/{newest}").status_code == 200
    # Somebody who goes on asking keeps the limit used up; the owner has a valid link at every moment.
    last_sent_at = clock()
    for _ in range(20):
        clock.advance(minutes=4)
        before = count(container, SignIn)
        ask()
        if count(container, SignIn) > before:
            last_sent_at = clock()
        assert clock() - last_sent_at < LINK_TTL - datetime.timedelta(minutes=2)
    assert count(container, SignIn) < 5 + 2 * 7


def test_request_of_another_leaves_the_links_before_valid(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    tokens = []
    for _ in range(3):
        request_link(client)
        tokens.append(sign_in_link(container))
    request_link(client)
    for token in tokens:
        assert client.get(f"/me/enter/{token}").status_code == 200
    assert client.post(f"/me/enter/{tokens[0]}").status_code == 303


def test_network_is_limited_to_twenty_requests_an_hour(container: Container, client: FlaskClient) -> None:
    statuses = [request_link(client, f"reader{number}@example.org").status_code for number in range(22)]
    assert statuses == [303] * 20 + [429] * 2
    other_network = client.post("/me", data={"email": "x@example.org"}, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert other_network.status_code == 303


def test_https_cookie_has_host_prefix_and_secure_flag(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    request_link(client)
    cookie = client.post(f"/me/enter/{sign_in_link(container)}").headers["Set-Cookie"]
    assert cookie.startswith("__Host-mainstay_reader=")
    assert "Secure" in cookie
    assert "Path=/" in cookie


@pytest.fixture
def strict_client(migrated_database: str, container: Container, clock: FakeClock) -> Iterator[FlaskClient]:
    """Return a client of an application with a limit of three requests an hour."""
    strict = build_container(settings_for(migrated_database, RATE_LIMIT="3/hour"), clock=clock)
    yield create_app(strict).test_client()
    strict.database.engine.dispose()


def test_guessing_links_is_rate_limited(container: Container, strict_client: FlaskClient) -> None:
    responses = [strict_client.post(f"/me/enter/{'a' * 42}{number}") for number in range(4)]
    assert [response.status_code for response in responses] == [404] * 3 + [429]
    assert int(responses[-1].headers["Retry-After"]) > 0
    other_network = strict_client.post("/me/enter/x", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert other_network.status_code == 404


def test_valid_link_over_the_limit_is_rejected_and_kept(
    container: Container, client: FlaskClient, strict_client: FlaskClient
) -> None:
    create_paid_pledge(container, client)
    request_link(client)
    token = sign_in_link(container)
    for _ in range(3):
        strict_client.post("/me/enter/x")
    response = strict_client.post(f"/me/enter/{token}")
    assert (response.status_code, "Set-Cookie" in response.headers) == (429, False)
    # The rejected request did not redeem the link.
    assert client.post(f"/me/enter/{token}").status_code == 303
