"""Deleting one's own data: a page that says what goes and what stays, and a link by email that confirms."""

import datetime
import uuid

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select, text, update
from werkzeug.test import TestResponse

from schemas.enums import EmailKind, PledgeStatus, RefundStatus
from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.base import new_id
from service.db.models.admin import AuditEntry
from service.db.models.email import OutgoingEmail
from service.db.models.erasure import Erasure, ErasureRequest
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter
from service.domain.erasure_requests import LINK_TTL
from service.domain.privacy.merging import merge_supporters
from service.domain.privacy.retention import ERASURE_REQUEST_RETENTION, purge_erasure_requests
from service.domain.supporters import erase_supporter, get_or_create_supporter
from service.settings import Settings
from tests.api.client import auth_headers, count, post_reminder
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import run
from tests.pages.accounts import READER, create_paid_pledge, form_to, page, sign_in, stored, the_payment
from tests.pages.html import BROWSER, visible_text, without_signature

OTHER = "other@example.org"


@pytest.fixture
def pledge_id(container: Container, client: FlaskClient) -> str:
    """Create a monthly pledge and sign in as its supporter; return the pledge's id."""
    pledge_id = create_paid_pledge(container, client)
    sign_in(container, client)
    run(container, FakeMailer())
    return pledge_id


def sent(container: Container) -> list[tuple[str, EmailKind, str]]:
    """Send what is due; return recipient, kind and path of the button of each email."""
    mailer = FakeMailer()
    run(container, mailer)
    return [(email.to, email.kind, email.page_url.removeprefix("http://desk.test")) for email in mailer.sent]


def request_link(container: Container, client: FlaskClient, address: str = READER) -> str:
    """Ask to be erased; return the path of the link in the email."""
    response = client.post("/me/erase?lang=en", headers=BROWSER)
    assert without_signature(response.headers["Location"]) == "/me/erase?sent=yes&lang=en"
    assert "Check your email" in visible_text(page(client, response.headers["Location"]))
    [(to, kind, path)] = sent(container)
    assert (to, kind) == (address, EmailKind.ERASURE)
    return path


def confirm(client: FlaskClient, path: str) -> TestResponse:
    """Press the button of the page that the link opens; return the page that follows."""
    response = client.post(f"{path}?lang=en", headers=BROWSER)
    assert (response.status_code, response.headers["Location"]) == (303, f"{path}?lang=en")
    return client.get(response.headers["Location"], headers=BROWSER)


def test_reader_erases_themselves(container: Container, client: FlaskClient, pledge_id: str) -> None:
    post_reminder(client, email=READER)
    assert "Delete my data" in visible_text(page(client, "/me/data"))
    form = visible_text(page(client, "/me/erase"))
    for said in (
        "The Harbour Lantern: $2 a month. You won’t be charged again.",
        "accounting law",
        "your reminders",
    ):
        assert said in form
    path = request_link(container, client)
    assert "Check your email" not in visible_text(page(client, "/me/erase?sent=yes"))
    opened = page(client, path)
    assert "Delete your data for good?" in visible_text(opened)
    assert form_to(opened, path)
    # Looking changes nothing, because email scanners follow links.
    client.head(path)
    assert (count(container, Supporter), count(container, Erasure)) == (1, 0)

    done = confirm(client, path)
    assert done.status_code == 200
    shown = visible_text(done.text)
    assert "Your data is deleted" in shown
    assert "Your monthly or annual support has ended." in shown
    assert "without your name or address: accounting law requires it" in shown
    assert READER not in shown
    # The cookie of the session that ended goes, too.
    assert client.get_cookie("mainstay_reader") is None
    assert (count(container, Supporter), count(container, Reminder), count(container, SignIn)) == (0, 0, 0)
    assert count(container, ErasureRequest) == 0
    pledge = stored(container, pledge_id)
    assert (pledge.status, pledge.supporter_id) == (PledgeStatus.CANCELLED, None)
    assert count(container, Payment) == 1
    assert "Sign in to manage your support" in visible_text(page(client, "/me"))
    assert sent(container) == []
    with container.database.read_only() as session:
        entry = session.scalars(select(AuditEntry)).one()
        rows = session.execute(text("SELECT row_to_json(e)::text FROM erasures e")).scalars().all()
    assert (entry.actor, entry.action) == ("reader", "erase_reader")
    assert entry.details == {"pledges": 1, "reminders": 1, "recurring_ended": 1}
    assert "example" not in "".join(rows)


def test_link_works_once_and_then_says_what_was_done(
    container: Container, client: FlaskClient, clock: FakeClock, pledge_id: str
) -> None:
    path = request_link(container, client)
    confirm(client, path)
    # A second click of the button, and the link opened again.
    for response in (confirm(client, path), client.get(path, headers=BROWSER)):
        assert (response.status_code, "Your data is deleted" in visible_text(response.text)) == (200, True)
    assert count(container, Erasure) == 1
    # A reader who returns is another supporter, whom the old link does not erase.
    create_paid_pledge(container, client)
    confirm(client, path)
    assert count(container, Supporter) == 1
    clock.advance(hours=1, seconds=1)
    assert "This link has expired" in visible_text(page(client, path, 404))


def test_link_works_in_a_browser_without_the_session(
    app: Flask, container: Container, client: FlaskClient, pledge_id: str
) -> None:
    path = request_link(container, client)
    other = app.test_client()
    assert "The Harbour Lantern: $2 a month" in visible_text(page(other, path))
    assert "Your data is deleted" in visible_text(confirm(other, path).text)
    # The session of the first browser has ended.
    assert "Sign in to manage your support" in visible_text(page(client, "/me"))


def test_another_supporters_session_stays(
    app: Flask, container: Container, client: FlaskClient, pledge_id: str
) -> None:
    path = request_link(container, client)
    other = app.test_client()
    create_paid_pledge(container, other, email=OTHER)
    sign_in(container, other, OTHER)
    confirm(other, path)
    assert "$2 a month" in visible_text(page(other, "/me"))
    with container.database.read_only() as session:
        assert session.scalars(select(Supporter.email)).all() == [OTHER]


@pytest.mark.parametrize(("seconds", "is_valid"), [(-1, True), (1, False)])
def test_link_expires_after_an_hour(
    container: Container, client: FlaskClient, clock: FakeClock, pledge_id: str, seconds: int, is_valid: bool
) -> None:
    path = request_link(container, client)
    clock.advance(seconds=LINK_TTL.total_seconds() + seconds)
    page(client, path, 200 if is_valid else 404)
    assert confirm(client, path).status_code == (200 if is_valid else 404)
    assert count(container, Supporter) == (0 if is_valid else 1)


@pytest.mark.parametrize("token", ["x", "a" * 72, "%00", "a" * 500])
def test_unknown_or_altered_link_is_over(
    container: Container, client: FlaskClient, pledge_id: str, token: str
) -> None:
    path = request_link(container, client)
    for tried in (f"/me/erase/{token}", path[:-1] + ("A" if path[-1] != "A" else "E")):
        assert "This link has expired" in visible_text(page(client, tried, 404))
        client.post(tried, headers=BROWSER)
    # A token for one purpose is invalid for another.
    client.post(path.replace("erase", "email"), headers=BROWSER)
    assert (count(container, Supporter), count(container, Erasure)) == (1, 0)


def test_link_of_a_supporter_who_was_merged_is_over(
    container: Container, client: FlaskClient, clock: FakeClock, pledge_id: str
) -> None:
    """What the other supporter gave was not on the page that was confirmed."""
    path = request_link(container, client)
    create_paid_pledge(container, client, email=OTHER)
    with container.database.transaction() as session:
        kept = get_or_create_supporter(session, OTHER, now=clock())
        merge_supporters(session, kept=kept, duplicate=stored(container, pledge_id).supporter_id, now=clock())
    assert confirm(client, path).status_code == 404
    assert (count(container, Supporter), count(container, Erasure)) == (1, 0)


def test_link_in_the_old_mailbox_is_over_once_the_address_changes(
    container: Container, client: FlaskClient, pledge_id: str
) -> None:
    path = request_link(container, client)
    supporter_id = stored(container, pledge_id).supporter_id
    changed = client.post(
        f"/v1/admin/supporters/{supporter_id}/email",
        json={"email": "new@example.org"},
        headers=auth_headers(container, "manage"),
    )
    assert changed.status_code == 200, changed.text
    assert confirm(client, path).status_code == 404
    assert count(container, Supporter) == 1


def test_link_is_over_when_staff_erased_the_supporter(
    container: Container, client: FlaskClient, clock: FakeClock, pledge_id: str
) -> None:
    path = request_link(container, client)
    with container.database.transaction() as session:
        erase_supporter(session, READER, now=clock())
    assert confirm(client, path).status_code == 404


def test_page_says_what_is_still_on_its_way(container: Container, client: FlaskClient, pledge_id: str) -> None:
    shown = visible_text(page(client, "/me/erase"))
    assert "still on its way" not in shown
    assert "refund is on its way" not in shown
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(status=PledgeStatus.PROCESSING, frequency="once"))
        refund = {"payment_id": the_payment(container), "status": RefundStatus.REQUESTED, "amount_minor": 50}
        session.execute(
            insert(Refund).values(refund | {"id": new_id(), "currency": "USD", "created_at": container.clock()})
        )
    shown = visible_text(page(client, "/me/erase"))
    assert "A payment of yours is still on its way" in shown
    assert "A refund is on its way to you." in shown
    assert "What ends first" not in shown


def test_pledge_at_another_gateway_stops_the_erasure(
    container: Container, client: FlaskClient, pledge_id: str
) -> None:
    path = request_link(container, client)
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(gateway="stripe"))
    response = client.post(path, headers=BROWSER)
    assert response.status_code == 409
    assert "Nothing was deleted." in visible_text(response.text)
    assert (count(container, Supporter), count(container, ErasureRequest)) == (1, 1)
    assert "$2 a month" in visible_text(page(client, "/me"))


def test_without_session_the_form_leads_to_sign_in(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    for response in (client.get("/me/erase?lang=fr"), client.post("/me/erase?lang=fr")):
        assert (response.status_code, response.headers["Location"]) == (303, "/me?lang=fr")
    assert count(container, ErasureRequest) == 0


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_another_site_cannot_ask_or_confirm(
    container: Container, client: FlaskClient, pledge_id: str, headers: dict[str, str]
) -> None:
    path = request_link(container, client)
    for url in ("/me/erase", path):
        assert client.post(url, headers=headers).status_code == 403
    assert (count(container, Supporter), count(container, ErasureRequest)) == (1, 1)


def test_emails_to_one_mailbox_are_limited(container: Container, client: FlaskClient, pledge_id: str) -> None:
    for _ in range(8):
        assert client.post("/me/erase", headers=BROWSER).status_code == 303
    assert [kind for _, kind, _ in sent(container)] == [EmailKind.ERASURE] * 5


def test_requests_of_one_client_are_limited(settings: Settings, container: Container, clock: FakeClock) -> None:
    limited = build_container(settings_for(settings.database_url, RATE_LIMIT="1000/second"), clock=clock)
    client = create_app(limited).test_client()
    create_paid_pledge(limited, client)
    sign_in(limited, client)
    statuses = {client.post("/me/erase", headers=BROWSER).status_code for _ in range(21)}
    assert statuses == {303, 429}
    limited.database.engine.dispose()


def test_link_that_could_not_be_sent_in_time_is_skipped(
    container: Container, client: FlaskClient, clock: FakeClock, pledge_id: str
) -> None:
    client.post("/me/erase")
    clock.advance(seconds=LINK_TTL.total_seconds())
    assert sent(container) == []
    with container.database.read_only() as session:
        skipped = session.scalars(select(OutgoingEmail).where(OutgoingEmail.kind == EmailKind.ERASURE)).one()
    assert (skipped.status, skipped.reason) == ("skipped", "too_old")


def test_request_that_nobody_confirms_is_deleted_after_a_day(
    container: Container, client: FlaskClient, clock: FakeClock, pledge_id: str
) -> None:
    request_link(container, client)
    clock.advance(seconds=ERASURE_REQUEST_RETENTION.total_seconds() - 1)
    with container.database.transaction() as session:
        assert purge_erasure_requests(session, now=clock()) == 0
    clock.advance(seconds=1)
    with container.database.transaction() as session:
        assert purge_erasure_requests(session, now=clock()) == 1
    with container.database.read_only() as session:
        assert EmailKind.ERASURE not in set(session.scalars(select(OutgoingEmail.kind)))


def test_supporter_without_donations_sees_nothing_of_payments(container: Container, client: FlaskClient) -> None:
    with container.database.transaction() as session:
        get_or_create_supporter(session, READER, now=container.clock())
    sign_in(container, client)
    run(container, FakeMailer())
    shown = visible_text(page(client, "/me/erase"))
    assert "accounting law" not in shown
    assert "payment provider" not in shown
    done = visible_text(confirm(client, request_link(container, client)).text)
    assert "support has ended" not in done
    assert "accounting law" not in done


def test_address_is_in_no_url_and_in_no_table(container: Container, client: FlaskClient, pledge_id: str) -> None:
    path = request_link(container, client)
    assert "example" not in path
    assert uuid.UUID(pledge_id).hex not in path
    with container.database.read_only() as session:
        rows = session.execute(text("SELECT row_to_json(r)::text FROM erasure_requests r")).scalars().all()
        rows += session.execute(text("SELECT row_to_json(e)::text FROM emails e")).scalars().all()
    assert "example" not in "".join(rows)
    assert path.rpartition("/")[2] not in "".join(rows)
    assert datetime.timedelta(hours=1) == LINK_TTL
