"""Staff find a supporter by address, change the address, and merge two supporters who are one person."""

import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from schemas.enums import SuppressionReason
from service.container import Container
from service.db.models.admin import AuditEntry
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.email.suppression import suppress, suppressions_for
from tests.api.client import assert_problem, auth_headers, count, pay_pledge, post_pledge, post_reminder
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer, run_send_reminders, without_sending_hours

READER, OTHER, NEW = "Jane.Doe@example.org", "other@example.org", "jane@new.example"


@pytest.fixture
def staff(container: Container) -> dict[str, str]:
    return auth_headers(container, "manage")


def search(client: FlaskClient, staff: dict[str, str], address: object) -> list[dict[str, Any]]:
    response = client.post("/v1/admin/supporters/search", json={"email": address}, headers=staff)
    assert response.status_code == 200, response.text
    return response.json["items"]


def find_one(client: FlaskClient, staff: dict[str, str], address: str) -> dict[str, Any]:
    [found] = search(client, staff, address)
    return found


def change(client: FlaskClient, staff: dict[str, str], supporter_id: str, **body: Any) -> TestResponse:
    return client.post(f"/v1/admin/supporters/{supporter_id}/email", json=body, headers=staff)


def create_pledge(client: FlaskClient, container: Container, address: str) -> str:
    pledge_id = post_pledge(client).json["id"]
    pay_pledge(container, pledge_id, email=address)
    return pledge_id


@pytest.mark.parametrize("spelling", [READER, "jane.doe@EXAMPLE.org", "  JANE.DOE@example.org "])
def test_search_finds_a_supporter_in_any_spelling(
    client: FlaskClient, container: Container, staff: dict[str, str], spelling: str
) -> None:
    pledge_ids = [create_pledge(client, container, READER) for _ in range(2)]
    post_reminder(client, email=READER)
    create_pledge(client, container, OTHER)
    found = find_one(client, staff, spelling)
    assert (found["pledges"], found["reminders"], found["pledge_ids"]) == (2, 1, pledge_ids)
    assert found["email_changed_at"] is None
    assert "example.org" not in str(found)


@pytest.mark.parametrize("address", ["nobody@example.org", "janedoe@example.org", "jane.doe+x@example.org"])
def test_search_for_an_unknown_address_finds_nobody(
    client: FlaskClient, container: Container, staff: dict[str, str], address: str
) -> None:
    create_pledge(client, container, READER)
    assert search(client, staff, address) == []


def test_search_and_change_are_audited_without_an_address(
    client: FlaskClient, container: Container, staff: dict[str, str]
) -> None:
    create_pledge(client, container, READER)
    supporter_id = find_one(client, staff, READER)["id"]
    search(client, staff, "nobody@example.org")
    change(client, staff, supporter_id, email=NEW)
    with container.database.read_only() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(entry.action, entry.details) for entry in entries if entry.action != "create_token"] == [
        ("find_supporter", {"supporters": [supporter_id]}),
        ("find_supporter", {"supporters": []}),
        ("change_email", {"supporter": supporter_id, "merge": False}),
    ]
    assert all(entry.actor.startswith("token") for entry in entries)


@pytest.mark.parametrize("address", ["", "jane", "jane@", 5, None])
def test_search_and_change_reject_an_invalid_address(
    client: FlaskClient, staff: dict[str, str], address: object
) -> None:
    for path in ("search", f"{uuid.uuid4()}/email"):
        response = client.post(f"/v1/admin/supporters/{path}", json={"email": address}, headers=staff)
        assert response.status_code == 422
        assert "email" in response.get_json(force=True)["errors"]


def test_change_moves_pledges_and_reminders_to_the_new_address(
    client: FlaskClient, container: Container, staff: dict[str, str], clock: FakeClock
) -> None:
    create_pledge(client, container, READER)
    clock.advance(hours=1)
    post_reminder(client, email=READER)
    before = find_one(client, staff, READER)
    changed = change(client, staff, before["id"], email=NEW).json
    assert changed == before | {
        "email_changed_at": "2026-11-23T10:30:00Z",
        "merged": False,
        "customers": {"updated": 0, "pending": 0, "refused": 0},
    }
    assert search(client, staff, READER) == []
    assert find_one(client, staff, NEW)["id"] == before["id"]
    clock.advance(days=31)
    mailer = FakeMailer()
    run_send_reminders(without_sending_hours(container), mailer)
    # The receipt and the reminder.
    assert mailer.addresses == [NEW, NEW]


def test_change_to_another_spelling_of_the_same_address_is_no_conflict(
    client: FlaskClient, container: Container, staff: dict[str, str]
) -> None:
    create_pledge(client, container, READER)
    supporter_id = find_one(client, staff, READER)["id"]
    assert change(client, staff, supporter_id, email=READER.lower()).status_code == 200
    with container.database.read_only() as session:
        assert session.scalars(select(Supporter.email)).one() == READER.lower()


def test_change_to_the_present_address_changes_nothing(
    client: FlaskClient, container: Container, staff: dict[str, str]
) -> None:
    create_pledge(client, container, READER)
    supporter_id = find_one(client, staff, READER)["id"]
    assert change(client, staff, supporter_id, email=READER).json["email_changed_at"] is None


def test_change_of_an_unknown_supporter_is_not_found(client: FlaskClient, staff: dict[str, str]) -> None:
    for merge in (False, True):
        assert_problem(
            change(client, staff, str(uuid.uuid4()), email=NEW, merge=merge), 404, "supporter_not_found"
        )


@pytest.mark.parametrize("older", [READER, OTHER])
def test_address_of_another_supporter_is_a_conflict_unless_merged(
    client: FlaskClient, container: Container, staff: dict[str, str], clock: FakeClock, older: str
) -> None:
    for address in (older, OTHER if older == READER else READER):
        create_pledge(client, container, address)
        post_reminder(client, email=address)
        clock.advance(minutes=1)
    supporter_id = find_one(client, staff, READER)["id"]
    for spelling in (OTHER, OTHER.upper()):
        assert_problem(change(client, staff, supporter_id, email=spelling), 409, "email_in_use")
    assert count(container, Supporter) == 2
    changed = change(client, staff, supporter_id, email=OTHER, merge=True).json
    assert (changed["id"], changed["merged"], changed["pledges"], changed["reminders"]) == (
        supporter_id,
        True,
        2,
        1,
    )
    assert find_one(client, staff, OTHER)["id"] == supporter_id
    assert search(client, staff, READER) == []
    with container.database.read_only() as session:
        assert session.scalars(select(Supporter.email)).all() == [OTHER]
        assert {str(owner) for owner in session.scalars(select(Pledge.supporter_id))} == {supporter_id}
        assert {str(owner) for owner in session.scalars(select(Reminder.supporter_id))} == {supporter_id}


@pytest.mark.parametrize("reason", SuppressionReason)
def test_suppression_of_the_new_address_is_respected(
    client: FlaskClient, container: Container, staff: dict[str, str], clock: FakeClock, reason: SuppressionReason
) -> None:
    post_reminder(client, email=READER)
    clock.advance(hours=1)
    with container.database.transaction() as session:
        suppress(session, NEW, reason=reason, now=clock())
    change(client, staff, find_one(client, staff, READER)["id"], email=NEW)
    clock.advance(days=31)
    mailer = FakeMailer()
    run_send_reminders(without_sending_hours(container), mailer)
    assert mailer.addresses == []


@pytest.mark.parametrize(
    ("reason", "copied"),
    [
        (SuppressionReason.UNSUBSCRIBE, [SuppressionReason.UNSUBSCRIBE]),
        (SuppressionReason.COMPLAINT, [SuppressionReason.UNSUBSCRIBE]),
        # These are true of the old address, and not of the person.
        (SuppressionReason.HARD_BOUNCE, []),
        (SuppressionReason.ERASURE, []),
    ],
)
def test_opt_out_of_the_old_address_stays_with_the_person(
    client: FlaskClient,
    container: Container,
    staff: dict[str, str],
    clock: FakeClock,
    reason: SuppressionReason,
    copied: list[SuppressionReason],
) -> None:
    post_reminder(client, email=READER)
    clock.advance(hours=1)
    with container.database.transaction() as session:
        suppress(session, READER, reason=reason, now=clock(), scope="default")
    change(client, staff, find_one(client, staff, READER)["id"], email=NEW)
    with container.database.read_only() as session:
        assert [(row.scope, row.reason) for row in suppressions_for(session, NEW)] == [
            ("default", reason) for reason in copied
        ]
    clock.advance(days=31)
    mailer = FakeMailer()
    run_send_reminders(without_sending_hours(container), mailer)
    assert mailer.addresses == ([] if copied else [NEW])
