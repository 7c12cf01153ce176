"""Changing the email address on the account page, confirmed by a link to the new address."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from schemas.enums import EmailKind, SuppressionReason
from service.bootstrap import build_container
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.email_change import EmailChange
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.email.suppression import suppress
from service.domain.email_changes import LINK_TTL, UNDO_TTL, add_confirmed_change
from service.domain.privacy.key_rotation import rotate_keys
from service.domain.privacy.retention import EMAIL_CHANGE_RETENTION, purge_email_changes
from service.domain.supporters import erase_supporter
from tests.api.client import count, post_reminder, reminder_token_for
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import run
from tests.pages.accounts import (
    READER,
    create_paid_pledge,
    page,
    pledge_link,
    request_link,
    sign_in,
    sign_in_link,
    stored,
)
from tests.pages.html import BROWSER, visible_text

NEW, NEWER = "new@example.org", "newer@example.org"


@pytest.fixture
def pledge_id(container: Container, client: FlaskClient) -> str:
    """Create a pledge and sign in as its supporter; return the pledge's id."""
    pledge_id = create_paid_pledge(container, client)
    sign_in(container, client)
    run(container, FakeMailer())
    return pledge_id


def request_change(client: FlaskClient, address: str = NEW, **headers: str) -> TestResponse:
    return client.post("/me/email", data={"email": address}, headers=BROWSER | headers)


def sent(container: Container) -> list[tuple[str, EmailKind, str]]:
    """Send what is due; return recipient, kind and path of the button of each email."""
    mailer = FakeMailer()
    run(container, mailer)
    return [(email.to, email.kind, email.page_url.removeprefix("http://desk.test")) for email in mailer.sent]


def request_and_open(container: Container, client: FlaskClient, address: str = NEW) -> str:
    """Request a change; return the path of the link in the email."""
    assert request_change(client, address).status_code == 303
    [(to, kind, path)] = sent(container)
    assert (to, kind) == (address, EmailKind.EMAIL_CHANGE)
    return path


def address(container: Container) -> str:
    with container.database.read_only() as session:
        return session.scalars(select(Supporter.email)).one()


def test_confirmed_address_is_used_and_the_old_one_is_told(
    container: Container, client: FlaskClient, pledge_id: str
) -> None:
    assert "Change my email address" in visible_text(page(client, "/me"))
    assert "New email address" in visible_text(page(client, "/me/email"))
    path = request_and_open(container, client)
    assert address(container) == READER
    done = client.post(path, headers=BROWSER)
    assert (done.status_code, done.headers["Location"]) == (303, path)
    assert address(container) == NEW
    assert "Your email address has changed" in visible_text(page(client, done.headers["Location"]))
    # The session stays valid.
    assert "$2 a month" in visible_text(page(client, "/me"))
    [(to, kind, path)] = sent(container)
    assert (to, kind) == (READER, EmailKind.EMAIL_CHANGED)
    assert path.startswith("/me/email/undo/")
    assert sent(container) == []
    request_link(client, NEW)
    assert [to for to, _, _ in sent(container)] == [NEW]


def test_opening_the_link_changes_nothing(container: Container, client: FlaskClient, pledge_id: str) -> None:
    path = request_and_open(container, client)
    for _ in range(3):
        assert "Use this address" in visible_text(page(client, path))
        client.head(path)
    assert address(container) == READER
    assert client.post(path).status_code == 303


def test_link_works_once(container: Container, client: FlaskClient, pledge_id: str) -> None:
    path = request_and_open(container, client)
    assert client.post(path, headers=BROWSER).status_code == 303
    # A second click changes nothing, and is answered as the first.
    for response in (client.post(path, headers=BROWSER), client.get(path, headers=BROWSER)):
        assert response.status_code == 200
        assert "Your email address has changed" in visible_text(response.text)
    assert len(sent(container)) == 1
    with container.database.transaction() as session:
        found = session.scalars(select(EmailChange)).one()
        add_confirmed_change(session, found.supporter_id, old=NEW, new=NEWER, now=container.clock())
    response = client.get(path, headers=BROWSER)
    assert response.status_code == 404
    assert "This link has expired" in visible_text(response.text)


def test_page_does_not_say_what_was_not_done(container: Container, client: FlaskClient, pledge_id: str) -> None:
    for query in ("done=yes", "undone=yes", "sent=yes", "sent=yes&signed=x"):
        assert "New email address" in visible_text(page(client, f"/me/email?{query}"))


@pytest.mark.parametrize(("hours", "status"), [(23.99, 303), (24.01, 404)])
def test_link_works_for_a_day(
    container: Container, client: FlaskClient, clock: FakeClock, pledge_id: str, hours: float, status: int
) -> None:
    path = request_and_open(container, client)
    clock.advance(hours=hours)
    assert client.post(path).status_code == status


def test_only_the_latest_link_counts(container: Container, client: FlaskClient, pledge_id: str) -> None:
    first = request_and_open(container, client)
    second = request_and_open(container, client, NEWER)
    assert client.post(first).status_code == 404
    assert client.post(second).status_code == 303
    assert address(container) == NEWER


@pytest.mark.parametrize("token", ["x", "a" * 72, "%00", "a" * 500])
def test_unknown_or_altered_link_is_not_found(
    container: Container, client: FlaskClient, pledge_id: str, token: str
) -> None:
    path = request_and_open(container, client)
    for tried in (
        f"/me/email/{token}",
        path[:-1] + ("A" if path[-1] != "A" else "E"),
        path.replace("email", "enter"),
    ):
        assert client.post(tried).status_code == 404
    assert address(container) == READER


def test_link_works_on_another_device_without_signing_in(
    app: Flask, container: Container, client: FlaskClient, pledge_id: str
) -> None:
    path = request_and_open(container, client)
    other = app.test_client()
    assert other.post(path).status_code == 303
    assert address(container) == NEW
    assert "Sign in" in visible_text(page(other, "/me")) or "Sign in to manage your support" in visible_text(
        page(other, "/me")
    )
    assert "$2 a month" in visible_text(page(client, "/me"))


def test_known_and_unknown_addresses_get_the_same_answers(
    container: Container, client: FlaskClient, pledge_id: str
) -> None:
    create_paid_pledge(container, client, email=NEWER)
    run(container, FakeMailer())
    unknown, known = request_change(client, NEW), request_change(client, NEWER)
    assert (known.status_code, known.headers["Location"]) == (unknown.status_code, unknown.headers["Location"])
    assert known.text == unknown.text
    assert "example" not in known.headers["Location"]
    emails = sent(container)
    assert {to for to, _, _ in emails} == {NEW, NEWER}


def test_address_of_another_supporter_is_merged_on_confirmation(
    app: Flask, container: Container, client: FlaskClient, clock: FakeClock, pledge_id: str
) -> None:
    other_pledge = create_paid_pledge(container, client, email=NEW)
    post_reminder(client, email=NEW)
    run(container, FakeMailer())
    other_device = app.test_client()
    sign_in(container, other_device)
    request_link(client)
    unused_link = sign_in_link(container)
    run(container, FakeMailer())
    path = request_and_open(container, client)
    assert client.post(path).status_code == 303
    assert address(container) == NEW
    assert stored(container, pledge_id).supporter_id == stored(container, other_pledge).supporter_id
    with container.database.read_only() as session:
        assert session.scalars(select(Reminder.supporter_id)).all() == [stored(container, pledge_id).supporter_id]
    # The browser that confirms stays signed in. A session elsewhere may be another person's.
    assert visible_text(page(client, "/me")).count("$2 a month") >= 2
    assert "$2 a month" not in visible_text(page(other_device, "/me"))
    assert other_device.post(f"/me/enter/{unused_link}").status_code == 404


def test_other_sessions_stay_valid_without_a_merge(
    app: Flask, container: Container, client: FlaskClient, pledge_id: str
) -> None:
    other_device = app.test_client()
    sign_in(container, other_device)
    run(container, FakeMailer())
    client.post(request_and_open(container, client))
    for device in (client, other_device):
        assert "$2 a month" in visible_text(page(device, "/me"))


def test_another_spelling_is_stored_and_its_old_spelling_is_told(
    container: Container, client: FlaskClient, pledge_id: str
) -> None:
    client.post(request_and_open(container, client, READER.capitalize()))
    assert address(container) == READER.capitalize()


def test_request_without_session_leads_to_sign_in(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    for response in (client.get("/me/email", headers=BROWSER), request_change(client)):
        assert (response.status_code, response.headers["Location"]) == (303, "/me")
    assert count(container, EmailChange) == 0


@pytest.mark.parametrize("typed", ["", "reader", "reader@", "a@b@example.org"])
def test_invalid_address_is_rejected(client: FlaskClient, pledge_id: str, typed: str) -> None:
    response = request_change(client, typed)
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.text


def test_cross_site_request_is_rejected(container: Container, client: FlaskClient, pledge_id: str) -> None:
    path = request_and_open(container, client)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert request_change(client, **headers).status_code == 403
        assert client.post(path, headers=headers).status_code == 403
    assert address(container) == READER


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (SuppressionReason.HARD_BOUNCE, []),
        (SuppressionReason.COMPLAINT, []),
        (SuppressionReason.UNSUBSCRIBE, [NEW]),
    ],
)
def test_link_is_not_sent_to_a_suppressed_address(
    container: Container, client: FlaskClient, pledge_id: str, reason: SuppressionReason, expected: list[str]
) -> None:
    with container.database.transaction() as session:
        suppress(session, NEW, reason=reason, now=container.clock())
    assert request_change(client).status_code == 303
    assert [to for to, _, _ in sent(container)] == expected


def test_addresses_are_encrypted_and_deleted_after_a_week(
    container: Container, client: FlaskClient, clock: FakeClock, pledge_id: str
) -> None:
    client.post(request_and_open(container, client))
    with container.database.read_only() as session:
        rows = session.execute(text("SELECT row_to_json(c)::text FROM email_changes c")).scalars().all()
        rows += session.execute(text("SELECT row_to_json(e)::text FROM emails e")).scalars().all()
    assert not re.search("example|reader@|new@", "".join(rows))
    clock.advance(seconds=EMAIL_CHANGE_RETENTION.total_seconds() - 1)
    with container.database.transaction() as session:
        assert purge_email_changes(session, now=clock()) == 0
    clock.advance(seconds=1)
    with container.database.transaction() as session:
        assert purge_email_changes(session, now=clock()) == 1
    with container.database.read_only() as session:
        kinds = set(session.scalars(select(OutgoingEmail.kind)))
    assert not kinds & {EmailKind.EMAIL_CHANGE, EmailKind.EMAIL_CHANGED}


def test_link_that_could_not_be_sent_in_time_is_skipped(
    container: Container, client: FlaskClient, clock: FakeClock, pledge_id: str
) -> None:
    request_change(client)
    clock.advance(hours=25)
    assert sent(container) == []
    with container.database.read_only() as session:
        skipped = session.scalars(select(OutgoingEmail).where(OutgoingEmail.kind == EmailKind.EMAIL_CHANGE)).one()
    assert (skipped.status, skipped.reason) == ("skipped", "too_old")


@pytest.mark.parametrize("erased", [NEW, NEW.upper(), READER])
def test_erasure_of_either_address_deletes_the_request(
    container: Container, client: FlaskClient, pledge_id: str, erased: str
) -> None:
    path = request_and_open(container, client)
    if erased == READER:
        # The supporter has the new address now, and the old one is still to be told.
        client.post(path)
    with container.database.transaction() as session:
        erase_supporter(session, erased, now=container.clock())
    assert count(container, EmailChange) == 0
    assert sent(container) == []
    assert client.post(path).status_code == 404


def test_key_rotation_moves_both_addresses_to_the_first_key(
    container: Container, client: FlaskClient, pledge_id: str
) -> None:
    client.post(request_and_open(container, client))
    old_key = "a-key-that-only-the-tests-know-0123456789"
    new_key = "another-key-that-only-the-tests-know-01234"
    url = container.settings.database_url
    rotating = build_container(settings_for(url, SECRET_KEYS=f"{new_key},{old_key}"), clock=container.clock)
    result = rotate_keys(rotating.database.transaction, clock=container.clock)
    rotating.database.engine.dispose()
    assert result.undecryptable == ()
    rotated = build_container(settings_for(url, SECRET_KEYS=new_key), clock=container.clock)
    with rotated.database.read_only() as session:
        change = session.scalars(select(EmailChange)).one()
        assert (change.new_email, change.old_email) == (NEW, READER)
        assert change.new_email_hash == rotated.database.keyring.lookup_hash(NEW)
        assert change.old_email_hash == rotated.database.keyring.lookup_hash(READER)
    rotated.database.engine.dispose()


def change_to(container: Container, client: FlaskClient, address: str = NEW) -> str:
    """Change the address; return the path of the link to undo it, in the email to the old one."""
    assert client.post(request_and_open(container, client, address), headers=BROWSER).status_code == 303
    [(_, kind, path)] = sent(container)
    assert kind == EmailKind.EMAIL_CHANGED
    return path


def test_owner_of_the_old_address_undoes_the_change(
    app: Flask, container: Container, client: FlaskClient, pledge_id: str
) -> None:
    path = change_to(container, client)
    owner = app.test_client()
    # Opening it changes nothing, because email scanners follow links.
    for _ in range(3):
        assert "Change your email address back?" in visible_text(page(owner, path))
        owner.head(path)
    assert address(container) == NEW
    undone = owner.post(f"{path}?lang=en", headers=BROWSER)
    assert (undone.status_code, undone.headers["Location"]) == (303, f"{path}?lang=en")
    assert "Your old address is back" in visible_text(page(owner, undone.headers["Location"]))
    assert address(container) == READER
    # Whoever changed it is signed out, and the replaced address is told, without a link to undo this.
    assert "Sign in to manage your support" in visible_text(page(client, "/me"))
    assert sent(container) == [(NEW, EmailKind.EMAIL_CHANGED, "/me")]
    for response in (owner.get(path, headers=BROWSER), owner.post(path, headers=BROWSER)):
        assert response.status_code == 200
        assert "Your old address is back" in visible_text(response.text)
    assert (sent(container), address(container)) == ([], READER)


def test_undo_voids_a_link_to_another_address(container: Container, client: FlaskClient, pledge_id: str) -> None:
    path = change_to(container, client)
    waiting = request_and_open(container, client, NEWER)
    assert client.post(path).status_code == 303
    assert client.post(waiting).status_code == 404
    assert address(container) == READER


def test_two_changes_in_a_row_tell_each_replaced_address(
    container: Container, client: FlaskClient, pledge_id: str
) -> None:
    first = change_to(container, client)
    assert client.post(request_and_open(container, client, NEWER)).status_code == 303
    [(to, _, second)] = sent(container)
    assert (to, address(container)) == (NEW, NEWER)
    # The first owner gets it back, whatever followed; then the second link is worthless.
    assert client.post(first).status_code == 303
    assert address(container) == READER
    assert client.post(second).status_code == 404
    assert address(container) == READER


@pytest.mark.parametrize(("days", "status"), [(5.99, 303), (6.01, 404)])
def test_change_can_be_undone_for_six_days(
    container: Container, client: FlaskClient, clock: FakeClock, pledge_id: str, days: float, status: int
) -> None:
    path = change_to(container, client)
    clock.advance(days=days)
    assert client.post(path).status_code == status
    assert UNDO_TTL + LINK_TTL <= EMAIL_CHANGE_RETENTION


def test_change_that_merged_two_supporters_cannot_be_undone(
    app: Flask, container: Container, client: FlaskClient, pledge_id: str
) -> None:
    """The owner of the old address must not see what belonged to the owner of the new one."""
    create_paid_pledge(container, client, email=NEW)
    run(container, FakeMailer())
    client.post(request_and_open(container, client))
    assert sent(container) == [(READER, EmailKind.EMAIL_CHANGED, "/me")]


def test_later_merge_ends_the_time_to_undo(container: Container, client: FlaskClient, pledge_id: str) -> None:
    path = change_to(container, client)
    create_paid_pledge(container, client, email=NEWER)
    run(container, FakeMailer())
    client.post(request_and_open(container, client, NEWER))
    assert client.post(path).status_code == 404
    assert address(container) == NEWER


def test_supporter_who_has_the_old_address_by_now_is_merged_by_an_undo(
    container: Container, client: FlaskClient, pledge_id: str
) -> None:
    path = change_to(container, client)
    other_pledge = create_paid_pledge(container, client, email=READER)
    run(container, FakeMailer())
    assert client.post(path).status_code == 303
    assert address(container) == READER
    assert stored(container, pledge_id).supporter_id == stored(container, other_pledge).supporter_id


def test_undo_of_an_erased_supporter_is_over(container: Container, client: FlaskClient, pledge_id: str) -> None:
    path = change_to(container, client)
    with container.database.transaction() as session:
        erase_supporter(session, NEW, now=container.clock())
    assert client.post(path).status_code == 404


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_another_site_cannot_undo(
    container: Container, client: FlaskClient, pledge_id: str, headers: dict[str, str]
) -> None:
    path = change_to(container, client)
    assert client.post(path, headers=headers).status_code == 403
    # A token for one purpose is invalid for another.
    assert client.post(path.replace("/undo", "")).status_code == 404
    assert address(container) == NEW


def test_links_in_earlier_emails_work_after_a_change(
    container: Container, client: FlaskClient, pledge_id: str
) -> None:
    post_reminder(client, email=READER)
    reminder, pledge = f"/r/{reminder_token_for(container, READER)}", pledge_link(container, pledge_id)
    change_to(container, client)
    assert "Cancel the reminder" in visible_text(page(client, reminder))
    assert "$2 a month" in visible_text(page(client, pledge))
    assert client.post(f"/v1/reminders/{reminder_token_for(container, NEW)}/cancel").status_code == 204


def test_present_address_is_no_change(container: Container, client: FlaskClient, pledge_id: str) -> None:
    response = request_change(client, READER)
    assert response.status_code == 422
    assert "This is already your address." in visible_text(response.text)
    assert sent(container) == []
