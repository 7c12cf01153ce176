"""Erasure (GDPR, article 17) removes the address from every table and keeps the amounts of pledges."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from schemas.enums import EmailKind, PledgeStatus, SuppressionReason
from service.container import Container
from service.db.models import Base
from service.db.models.admin import AuditEntry
from service.db.models.email import DevOutboxEmail
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.supporter import Supporter
from service.domain.campaigns.definitions import get_campaign
from service.domain.email.suppression import suppress
from service.domain.pledges.attribution import attribution_token
from service.domain.reminders.reminders import CreateReminder, create_or_update_reminder
from tests.api.client import (
    assert_problem,
    auth_headers,
    count,
    only_pledge,
    only_reminder,
    pay_pledge,
    post_pledge,
    post_reminder,
    reminder_token_for,
    update_campaign,
)
from tests.api.email_webhook_payloads import suppressions_for
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer, run_send_reminders, without_sending_hours

READER, OTHER = "reader@example.org", "other@example.org"


def counts(response: TestResponse) -> dict[str, int]:
    """Return how many pledges and reminders a successful erasure found."""
    assert response.status_code == 200, response.text
    return {name: response.json[name] for name in ("pledges", "reminders")}


def erase(client: FlaskClient, container: Container, address: object) -> TestResponse:
    return client.post("/v1/admin/erasures", json={"email": address}, headers=auth_headers(container, "manage"))


@pytest.fixture
def two_supporters(client: FlaskClient, container: Container) -> None:
    """Create pledges and reminders of two supporters, one of them in two campaigns."""
    update_campaign(container, slug="climate")
    for address in (READER, READER, OTHER):
        pay_pledge(container, post_pledge(client).json["id"], email=address)
    post_reminder(client, email=READER)
    post_reminder(client, email=READER, campaign="climate")
    post_reminder(client, email=OTHER)


@pytest.mark.usefixtures("two_supporters")
def test_erasure_anonymises_pledges_and_deletes_reminders(client: FlaskClient, container: Container) -> None:
    response = erase(client, container, READER)
    assert counts(response) == {"pledges": 2, "reminders": 2}
    assert (count(container, Pledge), count(container, Payment)) == (3, 3)
    assert (count(container, Supporter), count(container, Reminder), count(container, ReminderStatusChange)) == (
        1,
        1,
        1,
    )
    with container.database.read_only() as session:
        assert session.scalars(select(Supporter)).one().email == OTHER


@pytest.mark.usefixtures("two_supporters")
def test_second_erasure_finds_nothing(client: FlaskClient, container: Container) -> None:
    erase(client, container, READER)
    assert counts(erase(client, container, READER)) == {"pledges": 0, "reminders": 0}
    assert counts(erase(client, container, "never@example.org")) == {"pledges": 0, "reminders": 0}


@pytest.mark.usefixtures("two_supporters")
@pytest.mark.parametrize("written", ["  reader@EXAMPLE.org ", "reader@example.org\n"])
def test_erasure_normalises_address(client: FlaskClient, container: Container, written: str) -> None:
    assert counts(erase(client, container, written)) == {"pledges": 2, "reminders": 2}


@pytest.mark.usefixtures("two_supporters")
def test_erasure_removes_address_everywhere_and_hash_except_in_suppressions(
    client: FlaskClient, container: Container
) -> None:
    with container.database.transaction() as session:
        session.execute(text("UPDATE reminders SET due_at = asked_at"))
    post = FakeMailer()
    run_send_reminders(without_sending_hours(container), post)
    # These supporters pledged, so no reminder was sent; add the outbox row of an earlier email by hand.
    assert {email.kind for email in post.sent} == {EmailKind.RECEIPT}
    with container.database.transaction() as session:
        for address in (READER, OTHER):
            session.add(
                DevOutboxEmail(
                    message_id=f"<{len(address)}@desk.test>",
                    recipient_hash=container.database.keyring.lookup_hash(address),
                    message=f"To: {address}",
                    sent_at=container.clock(),
                )
            )
    erase(client, container, READER)
    fingerprint = container.database.keyring.lookup_hash(READER)
    [marked] = container.database.keyring.prefixed_lookup_hashes(READER)
    with container.database.read_only() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(select(table)):
                values = tuple(row)
                assert READER not in str(values), table.name
                assert fingerprint not in values, table.name
                assert (marked in values) == (table.name in ("suppressions", "erasures")), table.name
        assert count(container, DevOutboxEmail) == 1


@pytest.mark.usefixtures("two_supporters")
def test_erasure_audit_entry_has_no_personal_data(client: FlaskClient, container: Container) -> None:
    erase(client, container, READER)
    with container.database.read_only() as session:
        [entry] = session.scalars(select(AuditEntry)).all()
    assert (entry.action, entry.details) == (
        "erase_reader",
        {"pledges": 2, "reminders": 2, "recurring_ended": 2},
    )
    assert "reader" not in str((entry.actor, entry.details)).replace("erase_reader", "")


@pytest.mark.usefixtures("two_supporters")
def test_export_has_no_address_of_erased_supporter(client: FlaskClient, container: Container) -> None:
    erase(client, container, READER)
    exported = client.get("/v1/admin/pledges/export", headers=auth_headers(container, "export")).text
    assert READER not in exported
    assert exported.count(OTHER) == 1
    assert exported.count("2.00,200,USD") == 3


def test_erased_supporter_can_return(client: FlaskClient, container: Container) -> None:
    post_reminder(client)
    erase(client, container, READER)
    assert post_reminder(client).status_code == 201
    assert count(container, Reminder) == 1


def test_erasure_suppresses_concurrent_sign_up_but_not_a_later_one(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    asked_at = clock()
    clock.advance(seconds=1)
    erase(client, container, READER)
    assert suppressions_for(container) == {"*": SuppressionReason.ERASURE}
    with container.database.transaction() as session:
        payload = CreateReminder(campaign="default", email=READER, timezone="UTC")
        create_or_update_reminder(session, get_campaign(session, "default"), payload, now=asked_at)
    clock.advance(days=31)
    post = FakeMailer()
    run_send_reminders(container, post)
    assert post.sent == []
    assert only_reminder(container).reason == "suppressed: erasure"
    post_reminder(client, timezone="UTC")
    run_send_reminders(container, post)
    assert [email.is_confirmation_request for email in post.sent] == [True]
    token = reminder_token_for(container, READER)
    assert client.post(f"/v1/reminders/{token}/confirm").status_code == 200
    clock.advance(days=31)
    run_send_reminders(container, post)
    assert post.addresses == [READER, READER]


def test_erasure_keeps_hard_bounce_suppression(client: FlaskClient, container: Container) -> None:
    with container.database.transaction() as session:
        suppress(session, READER, reason=SuppressionReason.HARD_BOUNCE, now=container.clock())
    erase(client, container, READER)
    assert suppressions_for(container) == {"*": SuppressionReason.HARD_BOUNCE}


def test_erasure_keeps_pledge_of_deleted_reminder(client: FlaskClient, container: Container) -> None:
    post_reminder(client)
    token = attribution_token(container.database.keyring, only_reminder(container))
    pay_pledge(container, post_pledge(client, reminder=token).json["id"], email=OTHER)
    assert only_pledge(container).reminder_id is not None
    assert counts(erase(client, container, READER)) == {"pledges": 0, "reminders": 1}
    pledge = only_pledge(container)
    assert (pledge.reminder_id, pledge.supporter is None, pledge.status) == (None, False, PledgeStatus.ACTIVE)


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("nobody", "invalid_email"),
        ("", "validation_failed"),
        (None, "validation_failed"),
        (1, "validation_failed"),
    ],
)
def test_erasure_rejects_invalid_address(
    client: FlaskClient, container: Container, address: object, code: str
) -> None:
    post_reminder(client)
    assert_problem(erase(client, container, address), 422, code, field="email")
    assert (count(container, Reminder), count(container, AuditEntry)) == (1, 0)
