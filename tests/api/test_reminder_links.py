"""Reminder links: signed tokens, idempotent actions, and no changes by GET."""

import base64
import datetime
import uuid

import pytest
from flask.testing import FlaskClient

from schemas.enums import ReminderStatus
from service.container import Container
from service.db.keyring import Keyring
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.domain.supporters import erase_supporter
from service.domain.tokens import issue_token
from tests.api.client import (
    assert_problem,
    count,
    only_reminder,
    post_pledge,
    post_reminder,
    reminder_token_for,
    update_campaign,
)
from tests.clock import FakeClock

READER = "reader@example.org"


@pytest.fixture
def token(client: FlaskClient, container: Container) -> str:
    update_campaign(container, reminder={"choices": [1, 3]})
    post_reminder(client)
    return reminder_token_for(container, READER)


def cancel(client: FlaskClient, token: str, **sent):
    return client.post(f"/v1/reminders/{token}/cancel", **sent)


def snooze(client: FlaskClient, token: str, **sent):
    return client.post(f"/v1/reminders/{token}/snooze", **sent)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"data": {"List-Unsubscribe": "One-Click"}},
        {"data": {"List-Unsubscribe": "One-Click"}, "content_type": "multipart/form-data"},
        {"json": {}},
        {"json": {"List-Unsubscribe": "One-Click"}},
        {"data": b"anything", "content_type": "text/plain"},
        {"data": b"{not json", "content_type": "application/json"},
        {"data": b"\xff\xfe", "content_type": ""},
    ],
    ids=["no body", "RFC 8058", "multipart", "JSON", "JSON one-click", "text", "broken JSON", "bytes"],
)
def test_one_click_cancel_ignores_request_body(
    client: FlaskClient, container: Container, token: str, sent: dict
) -> None:
    response = cancel(client, token, **sent)
    assert (response.status_code, response.data) == (204, b"")
    assert "Content-Type" not in response.headers
    assert only_reminder(container).status == ReminderStatus.CANCELLED


def test_cancel_is_idempotent(client: FlaskClient, container: Container, token: str) -> None:
    cancel(client, token)
    moves = count(container, ReminderStatusChange)
    assert [cancel(client, token).status_code for _ in range(3)] == [204] * 3
    assert count(container, ReminderStatusChange) == moves


def test_snooze_sets_date_months_from_today(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    clock.advance(days=8)
    response = snooze(client, token, json={"months": 3})
    assert response.status_code == 200
    promised = {"status": "scheduled", "due_on": "2027-03-01", "due_at": "2027-03-01T09:00:00Z"}
    assert response.json == promised | {"repeat": False}
    assert only_reminder(container).due_on == datetime.date(2027, 3, 1)


@pytest.mark.parametrize("sent", [{}, {"json": {}}, {"data": b"", "content_type": "application/json"}])
def test_snooze_defaults_to_first_choice(client: FlaskClient, token: str, sent: dict) -> None:
    assert snooze(client, token, **sent).json["due_on"] == "2026-12-23"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"months": 2}, "reminder_choice_not_offered"),
        ({"months": 0}, "validation_failed"),
        ({"months": "1"}, "validation_failed"),
        ({"months": None}, "validation_failed"),
        ({"month": 1}, "validation_failed"),
        ([], "validation_failed"),
    ],
)
def test_snooze_by_unoffered_months_is_rejected(
    client: FlaskClient, container: Container, token: str, body: object, code: str
) -> None:
    before = only_reminder(container).due_at
    assert_problem(snooze(client, token, json=body), 422, code)
    assert only_reminder(container).due_at == before


def test_snooze_reschedules_cancelled_reminder(client: FlaskClient, container: Container, token: str) -> None:
    cancel(client, token)
    assert snooze(client, token).status_code == 200
    assert only_reminder(container).status == ReminderStatus.SCHEDULED


BROWSER_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("action", ["cancel", "snooze", "confirm"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("accept", [None, "*/*", BROWSER_ACCEPT, "text/html, application/json;q=0.9"])
def test_opening_an_action_leads_to_the_reminders_page_and_changes_nothing(
    client: FlaskClient, container: Container, token: str, action: str, method: str, accept: str | None
) -> None:
    moves = count(container, ReminderStatusChange)
    headers = {} if accept is None else {"Accept": accept}
    response = client.open(f"/v1/reminders/{token}/{action}", method=method, headers=headers)
    assert (response.status_code, response.location) == (303, f"http://desk.test/r/{token}")
    assert response.headers["Cache-Control"] == "no-store"
    page = client.get(response.location, headers={"Accept": BROWSER_ACCEPT})
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert count(container, ReminderStatusChange) == moves
    assert only_reminder(container).status == ReminderStatus.SCHEDULED


def test_opening_an_action_with_a_bad_token_leads_to_the_page_that_says_so(client: FlaskClient) -> None:
    for token in ("x", "a" * 400, "%F0%9F%92%A9", "%3Fa%23b", "%0D%0ASet-Cookie:%20a=b"):
        response = client.get(f"/v1/reminders/{token}/cancel", headers={"Accept": BROWSER_ACCEPT})
        assert response.status_code == 303
        assert response.location.startswith("http://desk.test/r/")
        page = client.get(response.location, headers={"Accept": BROWSER_ACCEPT})
        assert (page.status_code, page.mimetype) == (404, "text/html")


@pytest.mark.parametrize("accept", ["application/json", "application/json, text/html;q=0.5"])
def test_api_clients_are_told_to_post(client: FlaskClient, token: str, accept: str) -> None:
    for action in ("cancel", "snooze", "confirm"):
        response = client.get(f"/v1/reminders/{token}/{action}", headers={"Accept": accept})
        assert_problem(response, 405, "method_not_allowed")
        assert response.headers["Allow"] == "OPTIONS, POST"


def test_other_methods_do_not_change_reminder(client: FlaskClient, container: Container, token: str) -> None:
    moves = count(container, ReminderStatusChange)
    for what in ("cancel", "snooze", "confirm"):
        for method in ("PUT", "DELETE"):
            response = client.open(f"/v1/reminders/{token}/{what}", method=method)
            assert response.status_code == 405
            assert "POST" in response.headers["Allow"]
    assert client.get(f"/v1/reminders/{token}").status_code == 404
    assert count(container, ReminderStatusChange) == moves


@pytest.mark.parametrize("action", ["cancel", "snooze", "confirm"])
def test_opening_the_address_of_a_pages_form_leads_to_the_page(
    client: FlaskClient, container: Container, token: str, action: str
) -> None:
    response = client.get(f"/r/{token}/{action}?lang=ru", headers={"Accept": BROWSER_ACCEPT})
    assert (response.status_code, response.location) == (303, f"/r/{token}?lang=ru")
    assert only_reminder(container).status == ReminderStatus.SCHEDULED


def assert_opens_nothing(client: FlaskClient, token: str) -> None:
    assert_problem(cancel(client, token), 404, "reminder_not_found")
    assert_problem(snooze(client, token), 404, "reminder_not_found")
    assert_problem(client.post(f"/v1/reminders/{token}/confirm"), 404, "reminder_not_found")


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "AAAA",
        "%00",
        "%2e%2e",
        "=" * 8,
        "é",
        "💩",
        "a" * 4000,
        "-_-_",
        "null",
        "undefined",
        "{token}",
        "%20",
        "AA%3D%3D",
    ],
)
def test_invented_token_is_rejected(client: FlaskClient, token: str) -> None:
    assert_opens_nothing(client, token)


def test_token_with_any_bit_altered_is_rejected(client: FlaskClient, container: Container, token: str) -> None:
    parts = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")]
    for number, part in enumerate(parts):
        for place in range(len(part)):
            altered = bytearray(part)
            altered[place] ^= 1 << (place % 8)
            raw = [*parts[:number], bytes(altered), *parts[number + 1 :]]
            text = ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in raw)
            assert cancel(client, text).status_code == 404, f"part {number}, byte {place}"
    assert_opens_nothing(client, token[:-1])
    assert_opens_nothing(client, token + "AAAA")
    assert_opens_nothing(client, token.swapcase())
    assert only_reminder(container).status == ReminderStatus.SCHEDULED


def test_token_for_another_purpose_is_rejected(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    later, subject = clock.now + datetime.timedelta(days=1), only_reminder(container).id
    for purpose in ("sandbox-checkout", "", "Reminder", "reminder\0"):
        assert_opens_nothing(
            client, issue_token(container.database.keyring, purpose=purpose, subject=subject, expires_at=later)
        )
    checkout = post_pledge(client).json["checkout_url"].rpartition("/")[2]
    assert_opens_nothing(client, checkout)


def test_token_signed_with_unknown_key_is_rejected(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    later = clock.now + datetime.timedelta(days=1)
    forged = issue_token(
        Keyring(("another key",)), purpose="reminder", subject=only_reminder(container).id, expires_at=later
    )
    assert_opens_nothing(client, forged)


def test_token_for_missing_reminder_is_rejected(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    later = clock.now + datetime.timedelta(days=1)
    assert_opens_nothing(
        client, issue_token(container.database.keyring, purpose="reminder", subject=uuid.uuid4(), expires_at=later)
    )


def test_reminder_token_expires_after_more_than_a_year(client: FlaskClient, clock: FakeClock, token: str) -> None:
    clock.advance(days=700)
    assert cancel(client, token).status_code == 204
    clock.advance(days=365)
    assert_opens_nothing(client, token)


def test_erasure_invalidates_reminder_token(client: FlaskClient, container: Container, token: str) -> None:
    with container.database.transaction() as session:
        erase_supporter(session, READER, now=container.clock())
    assert_opens_nothing(client, token)
    assert count(container, Reminder) == 0


def test_first_reminder_token_stays_valid_after_second_request(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    clock.advance(days=40)
    post_reminder(client)
    assert cancel(client, token).status_code == 204
    assert only_reminder(container).status == ReminderStatus.CANCELLED


def test_token_has_one_valid_encoding(client: FlaskClient, token: str) -> None:
    assert_problem(cancel(client, f"{token}="), 404, "reminder_not_found")
    assert cancel(client, token).status_code == 204
