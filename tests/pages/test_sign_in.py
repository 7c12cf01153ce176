"""Signing in by mail: once, for a quarter of an hour, and nobody learns who is known here."""

import datetime
import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text

from schemas.enums import NotificationKind
from service.container import Container
from service.db.models.email import Notification
from service.db.models.sign_in import SignIn
from service.domain.supporters import erase_supporter
from tests.api.client import count
from tests.clock import FakeClock
from tests.pages.accounts import READER, create_paid_pledge, page, request_link, sign_in, sign_in_link
from tests.pages.html import BROWSER, visible_text

STRANGER = "stranger@example.org"


def test_whoever_asks_is_told_the_same_and_leaves_the_same_behind(
    container: Container, client: FlaskClient
) -> None:
    create_paid_pledge(container, client)
    known, unknown = request_link(client), request_link(client, STRANGER)
    assert (known.status_code, known.headers["Location"]) == (unknown.status_code, unknown.headers["Location"])
    assert known.text == unknown.text
    assert "example" not in known.headers["Location"]
    assert count(container, SignIn) == 2
    with container.database.read_only() as session:
        notifications = session.scalars(
            select(Notification).where(Notification.kind == NotificationKind.SIGN_IN)
        ).all()
        assert {notification.supporter_id is None for notification in notifications} == {False, True}
        assert len(notifications) == 2
        assert all(notification.dedup_key == str(notification.sign_in_id) for notification in notifications)


def test_the_address_of_a_stranger_is_kept_nowhere(container: Container, client: FlaskClient) -> None:
    request_link(client, STRANGER)
    with container.database.read_only() as session:
        assert session.execute(text("SELECT count(*) FROM supporters")).scalar() == 0
        rows = session.execute(text("SELECT row_to_json(s)::text FROM sign_ins s")).scalars().all()
        rows += session.execute(text("SELECT row_to_json(n)::text FROM notifications n")).scalars().all()
    assert "stranger" not in "".join(rows)


def test_a_link_signs_in_once(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    token = sign_in(container, client)
    assert "$2 a month" in visible_text(page(client, "/me"))
    again = client.post(f"/me/enter/{token}", headers=BROWSER)
    assert again.status_code == 404
    assert "This link does not work any more" in visible_text(again.text)
    assert "Set-Cookie" not in again.headers


def test_looking_at_a_link_does_not_use_it_up(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    request_link(client)
    token = sign_in_link(container)
    for _ in range(3):
        looked = client.get(f"/me/enter/{token}", headers=BROWSER)
        assert "Set-Cookie" not in looked.headers
        assert "Open my page" in visible_text(looked.text)
    assert client.post(f"/me/enter/{token}").status_code == 303


def test_a_link_is_good_for_a_quarter_of_an_hour(
    container: Container, client: FlaskClient, clock: FakeClock
) -> None:
    create_paid_pledge(container, client)
    request_link(client)
    token = sign_in_link(container)
    clock.advance(minutes=15)
    assert "This link does not work any more" in visible_text(page(client, f"/me/enter/{token}", 404))
    assert client.post(f"/me/enter/{token}").status_code == 404


def test_a_link_that_was_sent_anew_replaces_the_one_before(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    request_link(client)
    before, after = sign_in_link(container), sign_in_link(container)
    assert client.post(f"/me/enter/{before}").status_code == 404
    assert client.post(f"/me/enter/{after}").status_code == 303


@pytest.mark.parametrize("token", ["x", "a" * 43, "%00", "a" * 500])
def test_a_made_up_link_opens_nothing(client: FlaskClient, token: str) -> None:
    assert client.post(f"/me/enter/{token}").status_code == 404


def test_a_stranger_s_wish_opens_nothing_even_with_a_link(container: Container, client: FlaskClient) -> None:
    request_link(client, STRANGER)
    assert client.post(f"/me/enter/{sign_in_link(container)}").status_code == 404


def test_neither_link_nor_session_lies_in_the_database(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    token = sign_in(container, client)
    cookie = client.get_cookie("mainstay_reader")
    assert cookie is not None
    with container.database.read_only() as session:
        row = session.execute(text("SELECT row_to_json(s)::text FROM sign_ins s")).scalar_one()
    assert token not in row
    assert cookie.value not in row
    assert len(cookie.value) >= 43


def test_the_cookie_is_for_our_pages_alone(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    request_link(client)
    response = client.post(f"/me/enter/{sign_in_link(container)}")
    cookie = response.headers["Set-Cookie"]
    assert re.match(r"mainstay_reader=[\w-]{43};", cookie)
    for part in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=10800"):
        assert part in cookie
    assert "Domain" not in cookie


def test_a_session_ends_after_three_hours(container: Container, client: FlaskClient, clock: FakeClock) -> None:
    create_paid_pledge(container, client)
    sign_in(container, client)
    clock.advance(hours=2, minutes=59)
    assert "Your support" in visible_text(page(client, "/me"))
    clock.advance(minutes=1)
    assert "See what you give" in visible_text(page(client, "/me"))


def test_leaving_ends_the_session_also_for_who_kept_the_cookie(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    sign_in(container, client)
    cookie = client.get_cookie("mainstay_reader")
    assert cookie is not None
    assert client.post("/me/leave").status_code == 303
    client.set_cookie("mainstay_reader", cookie.value)
    assert "See what you give" in visible_text(page(client, "/me"))


def test_an_erased_reader_is_signed_out_at_once(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    sign_in(container, client)
    with container.database.transaction() as session:
        erase_supporter(session, READER, now=container.clock())
    assert "See what you give" in visible_text(page(client, "/me"))
    assert count(container, SignIn) == 0


@pytest.mark.parametrize("typed", ["", "reader", "reader@", "a@b@example.org"])
def test_what_is_no_address_is_asked_for_again(client: FlaskClient, typed: str) -> None:
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
        # The scheme, the host and the port are compared, each of them alone.
        {"Origin": "https://desk.test"},
        {"Origin": "http://desk.test.evil.example"},
        {"Origin": "http://desk.test:8080"},
    ],
)
def test_another_site_can_neither_ask_nor_sign_anyone_in_or_out(
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
        # The browser's own word counts, not the address that a proxy may have changed on the way.
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://desk.test:8080"},
        {"Origin": "http://desk.test"},
        {"Origin": "null"},
        {},
    ],
)
def test_our_own_pages_can_ask(client: FlaskClient, headers: dict[str, str]) -> None:
    assert request_link(client, **headers).status_code == 303


def test_old_wishes_do_not_open_new_sessions(container: Container, client: FlaskClient, clock: FakeClock) -> None:
    create_paid_pledge(container, client)
    sign_in(container, client)
    clock.advance(hours=4)
    with container.database.read_only() as session:
        ended = session.scalars(select(SignIn.session_expires_at)).one()
    assert ended is not None
    assert ended - container.clock() < datetime.timedelta()
