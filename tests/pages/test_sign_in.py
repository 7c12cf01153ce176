"""Signing in by an emailed link, without revealing which addresses are known."""

import datetime
import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text

from schemas.enums import EmailKind
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.sign_in import SignIn
from service.domain.supporters import erase_supporter
from tests.api.client import count
from tests.clock import FakeClock
from tests.pages.accounts import READER, create_paid_pledge, page, request_link, sign_in, sign_in_link
from tests.pages.html import BROWSER, visible_text

UNKNOWN_ADDRESS = "stranger@example.org"


def test_known_and_unknown_addresses_get_the_same_response_and_rows(
    container: Container, client: FlaskClient
) -> None:
    create_paid_pledge(container, client)
    known, unknown = request_link(client), request_link(client, UNKNOWN_ADDRESS)
    assert (known.status_code, known.headers["Location"]) == (unknown.status_code, unknown.headers["Location"])
    assert known.text == unknown.text
    assert "example" not in known.headers["Location"]
    assert count(container, SignIn) == 2
    with container.database.read_only() as session:
        notifications = session.scalars(select(OutgoingEmail).where(OutgoingEmail.kind == EmailKind.SIGN_IN)).all()
        assert {notification.supporter_id is None for notification in notifications} == {False, True}
        assert len(notifications) == 2
        assert all(notification.dedup_key == str(notification.sign_in_id) for notification in notifications)


def test_unknown_address_is_not_stored(container: Container, client: FlaskClient) -> None:
    request_link(client, UNKNOWN_ADDRESS)
    with container.database.read_only() as session:
        assert session.execute(text("SELECT count(*) FROM supporters")).scalar() == 0
        rows = session.execute(text("SELECT row_to_json(s)::text FROM sign_ins s")).scalars().all()
        rows += session.execute(text("SELECT row_to_json(e)::text FROM emails e")).scalars().all()
    assert "stranger" not in "".join(rows)


def test_sign_in_link_works_once(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    token = sign_in(container, client)
    assert "$2 a month" in visible_text(page(client, "/me"))
    response = client.post(f"/me/enter/{token}", headers=BROWSER)
    assert response.status_code == 404
    assert "This link has expired" in visible_text(response.text)
    assert "Set-Cookie" not in response.headers


def test_link_opened_again_while_signed_in_leads_to_the_account(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    used = sign_in(container, client)
    response = client.get(f"/me/enter/{used}?lang=ru", headers=BROWSER)
    assert (response.status_code, response.headers["Location"]) == (303, "/me?lang=ru")
    request_link(client)
    unused = sign_in_link(container)
    assert client.get(f"/me/enter/{unused}", headers=BROWSER).status_code == 303


def test_link_of_another_supporter_still_offers_to_sign_in(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    create_paid_pledge(container, client, email="other@example.org")
    sign_in(container, client)
    request_link(client, "other@example.org")
    response = client.get(f"/me/enter/{sign_in_link(container)}", headers=BROWSER)
    assert response.status_code == 200
    assert "Continue" in visible_text(response.text)


def test_expired_link_offers_a_new_one(client: FlaskClient) -> None:
    response = client.get("/me/enter/nothing", headers=BROWSER)
    assert response.status_code == 404
    assert '<a class="main-button" href="/me?lang=en">Send a new link</a>' in response.text


def test_get_request_does_not_redeem_the_link(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    request_link(client)
    token = sign_in_link(container)
    for _ in range(3):
        response = client.get(f"/me/enter/{token}", headers=BROWSER)
        assert "Set-Cookie" not in response.headers
        assert "Continue" in visible_text(response.text)
    assert client.post(f"/me/enter/{token}").status_code == 303


def test_link_expires_after_fifteen_minutes(container: Container, client: FlaskClient, clock: FakeClock) -> None:
    create_paid_pledge(container, client)
    request_link(client)
    token = sign_in_link(container)
    clock.advance(minutes=15)
    assert "This link has expired" in visible_text(page(client, f"/me/enter/{token}", 404))
    assert client.post(f"/me/enter/{token}").status_code == 404


def test_new_link_replaces_the_previous_one(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    request_link(client)
    old_token, new_token = sign_in_link(container), sign_in_link(container)
    assert client.post(f"/me/enter/{old_token}").status_code == 404
    assert client.post(f"/me/enter/{new_token}").status_code == 303


@pytest.mark.parametrize("token", ["x", "a" * 43, "%00", "a" * 500])
def test_unknown_link_is_not_found(client: FlaskClient, token: str) -> None:
    assert client.post(f"/me/enter/{token}").status_code == 404


def test_link_for_unknown_address_is_not_found(container: Container, client: FlaskClient) -> None:
    request_link(client, UNKNOWN_ADDRESS)
    assert client.post(f"/me/enter/{sign_in_link(container)}").status_code == 404


def test_database_stores_neither_link_nor_session_token(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    token = sign_in(container, client)
    cookie = client.get_cookie("mainstay_reader")
    assert cookie is not None
    with container.database.read_only() as session:
        row = session.execute(text("SELECT row_to_json(s)::text FROM sign_ins s")).scalar_one()
    assert token not in row
    assert cookie.value not in row
    assert len(cookie.value) >= 43


def test_session_cookie_attributes(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    request_link(client)
    response = client.post(f"/me/enter/{sign_in_link(container)}")
    cookie = response.headers["Set-Cookie"]
    assert re.match(r"mainstay_reader=[\w-]{43};", cookie)
    for attribute in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=10800"):
        assert attribute in cookie
    assert "Domain" not in cookie


def test_session_expires_after_three_hours(container: Container, client: FlaskClient, clock: FakeClock) -> None:
    create_paid_pledge(container, client)
    sign_in(container, client)
    clock.advance(hours=2, minutes=59)
    assert "Your support" in visible_text(page(client, "/me"))
    clock.advance(minutes=1)
    assert "Sign in to manage your support" in visible_text(page(client, "/me"))


def test_sign_out_invalidates_the_cookie(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    sign_in(container, client)
    cookie = client.get_cookie("mainstay_reader")
    assert cookie is not None
    assert client.post("/me/leave").status_code == 303
    client.set_cookie("mainstay_reader", cookie.value)
    assert "Sign in to manage your support" in visible_text(page(client, "/me"))


def test_erasure_ends_the_session(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    sign_in(container, client)
    with container.database.transaction() as session:
        erase_supporter(session, READER, now=container.clock())
    assert "Sign in to manage your support" in visible_text(page(client, "/me"))
    assert count(container, SignIn) == 0


@pytest.mark.parametrize("typed", ["", "reader", "reader@", "a@b@example.org"])
def test_invalid_address_is_rejected(client: FlaskClient, typed: str) -> None:
    response = request_link(client, typed)
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://desk.test"},
        {"Sec-Fetch-Site": ""},
        {"Origin": "https://evil.example"},
        # Scheme, host and port are compared.
        {"Origin": "https://desk.test"},
        {"Origin": "http://desk.test.evil.example"},
        {"Origin": "http://desk.test:8080"},
    ],
)
def test_cross_site_requests_are_rejected(
    container: Container, client: FlaskClient, headers: dict[str, str]
) -> None:
    create_paid_pledge(container, client)
    assert request_link(client, **headers).status_code == 403
    assert count(container, SignIn) == 0
    request_link(client)
    token = sign_in_link(container)
    assert client.post(f"/me/enter/{token}", headers=headers).status_code == 403
    sign_in(container, client)
    assert client.post("/me/leave", headers=headers).status_code == 403
    assert "Your support" in visible_text(page(client, "/me"))


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        # Sec-Fetch-Site overrides Origin, which may differ behind a proxy.
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://desk.test:8080"},
        {"Origin": "http://desk.test"},
        {"Origin": "null"},
        {},
    ],
)
def test_same_origin_requests_are_accepted(client: FlaskClient, headers: dict[str, str]) -> None:
    assert request_link(client, **headers).status_code == 303


def test_session_has_ended_after_four_hours(container: Container, client: FlaskClient, clock: FakeClock) -> None:
    create_paid_pledge(container, client)
    sign_in(container, client)
    clock.advance(hours=4)
    with container.database.read_only() as session:
        session_expires_at = session.scalars(select(SignIn.session_expires_at)).one()
    assert session_expires_at is not None
    assert session_expires_at - container.clock() < datetime.timedelta()
