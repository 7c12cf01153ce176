"""What a stranger can do by typing in the address of someone else: very little, and without learning anything."""

import concurrent.futures
import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import ReminderStatus, SuppressionReason
from service.container import Container
from service.db.models.email import MailboxLimit, OutgoingEmail
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.email.mailbox_limits import (
    CONFIRMATION,
    PLUS_ADDRESS,
    mailbox_of,
    purge_mailbox_limits,
    take_slot,
)
from service.domain.email.suppression import suppress
from tests.api.client import count, only_reminder, post_pledge, post_reminder, reminder_token_for, update_campaign
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer, run_send_reminders

READER = "jane.doe@example.org"
CHOSEN = {"lang": "en", "timezone": "Europe/Amsterdam", "amount": 500, "frequency": "monthly"}
FORGED = {"lang": "ru", "timezone": "Asia/Tokyo", "amount": 100_000, "frequency": "once"}
CHOSEN |= {"page_url": "https://paper.example/article"}
FORGED |= {"page_url": "https://paper.example/forged"}


def choice(reminder: Reminder) -> tuple:
    return (
        reminder.lang,
        reminder.timezone,
        reminder.amount_minor,
        reminder.frequency,
        reminder.currency,
        reminder.page_url,
        reminder.consent_version,
    )


def run_for(container: Container, clock: FakeClock, mailer: FakeMailer, *, days: int) -> None:
    """Send what is due, every twelve hours."""
    for _ in range(days * 2):
        run_send_reminders(container, mailer)
        clock.advance(hours=12)


@pytest.fixture
def token(client: FlaskClient, container: Container) -> str:
    post_reminder(client, email=READER, **CHOSEN, consent_version="en-1")
    return reminder_token_for(container, READER)


def test_repeated_sign_up_moves_the_date_and_nothing_else(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    update_campaign(container, reminder={"choices": [1, 3]})
    container.campaign_cache.get_entry("default").expires_at = 0
    before = choice(only_reminder(container))
    clock.advance(days=3)
    response = post_reminder(client, email=READER.upper(), **FORGED, months=3, consent_version="ru-2")
    assert response.status_code == 201
    reminder = only_reminder(container)
    assert choice(reminder) == before
    assert (reminder.status, reminder.due_on) == (ReminderStatus.SCHEDULED, datetime.date(2027, 2, 26))


def test_page_form_cannot_alter_a_standing_reminder_either(
    client: FlaskClient, container: Container, token: str
) -> None:
    before = choice(only_reminder(container))
    data = {"email": READER, "months": "1", "frequency": "once", "amount": "5000"}
    assert client.post("/support/default/reminder?lang=ru", data=data).status_code == 303
    assert choice(only_reminder(container)) == before


def test_sent_reminder_is_asked_for_anew(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    run_for(container, clock, FakeMailer(), days=32)
    assert only_reminder(container).status == ReminderStatus.SENT
    post_reminder(client, email=READER, **FORGED)
    assert only_reminder(container).lang == "ru"


@pytest.mark.parametrize("confirm", [False, True])
@pytest.mark.parametrize("how", ["link", "mail service", "erasure"])
def test_after_an_unsubscribe_strangers_cause_one_confirmation_request_in_30_days(
    client: FlaskClient, container: Container, clock: FakeClock, token: str, how: str, confirm: bool
) -> None:
    update_campaign(container, reminder={"confirm": confirm})
    container.campaign_cache.get_entry("default").expires_at = 0
    before = choice(only_reminder(container))
    if how == "link":
        assert client.post(f"/v1/reminders/{token}/cancel").status_code == 204
    else:
        reason = {"erasure": SuppressionReason.ERASURE}.get(how, SuppressionReason.UNSUBSCRIBE)
        with container.database.transaction() as session:
            suppress(session, READER, reason=reason, now=clock())
    clock.advance(minutes=1)
    mailer = FakeMailer()
    for number in range(20):
        written = READER.upper() if number % 2 else READER
        answer = post_reminder(client, email=written, **FORGED)
        unknown = post_reminder(client, email=f"unknown-{number}@example.org", **FORGED)
        assert (answer.status_code, answer.json) == (201, unknown.json)
        run_send_reminders(container, mailer)
        clock.advance(hours=30)
    mine = [email for email in mailer.sent if email.to == READER]
    assert [email.is_confirmation_request for email in mine] == [True]
    reminder = next(one for one in all_reminders(container) if choice(one)[5] == CHOSEN["page_url"])
    assert choice(reminder) == before
    # No yes, no more.
    run_for(container, clock, mailer, days=40)
    assert len([email for email in mailer.sent if email.to == READER]) == 1
    post_reminder(client, email=READER)
    run_send_reminders(container, mailer)
    assert len([email for email in mailer.sent if email.to == READER]) == 2


def all_reminders(container: Container) -> list[Reminder]:
    with container.database.read_only() as session:
        return list(session.scalars(select(Reminder)))


def test_reader_who_confirms_after_an_unsubscribe_gets_the_reminder(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    client.post(f"/v1/reminders/{token}/cancel")
    clock.advance(minutes=1)
    post_reminder(client, email=READER)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert client.post(f"/v1/reminders/{token}/confirm").status_code == 200
    run_for(container, clock, mailer, days=33)
    assert [email.is_confirmation_request for email in mailer.sent] == [True, False]
    # They said yes, so a sign-up is like any other again.
    post_reminder(client, email=READER)
    assert only_reminder(container).awaits_confirmation is False


def test_unsubscribe_after_a_confirmation_counts_again(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    mailer = FakeMailer()
    for _ in range(3):
        client.post(f"/v1/reminders/{token}/snooze")
        clock.advance(minutes=1)
        client.post(f"/v1/reminders/{token}/cancel")
        clock.advance(minutes=1)
        post_reminder(client, email=READER)
        run_send_reminders(container, mailer)
        clock.advance(hours=2)
    assert len(mailer.sent) == 1


@pytest.mark.parametrize("reason", [SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT])
def test_bounces_and_complaints_hold_for_good(
    client: FlaskClient, container: Container, clock: FakeClock, token: str, reason: SuppressionReason
) -> None:
    with container.database.transaction() as session:
        suppress(session, READER, reason=reason, now=clock())
    client.post(f"/v1/reminders/{token}/cancel")
    mailer = FakeMailer()
    for _ in range(3):
        clock.advance(days=32)
        assert post_reminder(client, email=READER).status_code == 201
        client.post(f"/v1/reminders/{token}/confirm")
        run_for(container, clock, mailer, days=1)
    run_for(container, clock, mailer, days=40)
    assert mailer.sent == []


def test_plus_addresses_are_one_mailbox_for_confirmation_requests(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    update_campaign(container, reminder={"confirm": True})
    mailer = FakeMailer()
    answers = set()
    for number in range(50):
        answers.add(post_reminder(client, email=f"jane.doe+{number}@Example.org").get_data(as_text=True))
    assert len(answers) == 1
    run_send_reminders(container, mailer)
    assert len(mailer.sent) == 1
    # Over a month, three.
    for number in range(100, 220):
        clock.advance(hours=5)
        post_reminder(client, email=f"jane.doe+{number}@example.org")
        run_send_reminders(container, mailer)
    assert len(mailer.sent) == 3
    assert post_reminder(client, email="john@example.org").status_code == 201
    run_send_reminders(container, mailer)
    assert len(mailer.sent) == 4


def test_plus_addresses_are_one_mailbox_without_confirmation(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    for number in range(50):
        assert post_reminder(client, email=f"jane.doe+{number}@example.org").status_code == 201
    assert count(container, Reminder) == count(container, Supporter) == PLUS_ADDRESS.most
    # They are different people all the same, and those that stand can be moved.
    clock.advance(days=1)
    post_reminder(client, email="jane.doe+0@example.org")
    assert [str(one.due_on) for one in all_reminders(container)].count("2026-12-24") == 1


def test_unsubscribed_mailbox_is_not_reached_through_its_plus_addresses(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    client.post(f"/v1/reminders/{token}/cancel")
    clock.advance(minutes=1)
    mailer = FakeMailer()
    for number in range(20):
        post_reminder(client, email=f"jane.doe+{number}@example.org")
    run_for(container, clock, mailer, days=45)
    assert [email.is_confirmation_request for email in mailer.sent] == [True]


def test_sign_in_links_are_limited_by_mailbox_in_the_database(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    statuses = [
        client.post("/me", data={"email": f"jane.doe+{number}@example.org"}).status_code for number in range(9)
    ]
    assert set(statuses) == {303}
    assert count(container, OutgoingEmail) == 5
    clock.advance(hours=1)
    client.post("/me", data={"email": READER})
    assert count(container, OutgoingEmail) == 6


def test_limits_hold_across_processes(container: Container) -> None:
    def take(number: int) -> bool:
        with container.database.transaction() as session:
            return take_slot(session, f"jane.doe+{number}@example.org", PLUS_ADDRESS, now=container.clock())

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(24)))
    assert taken.count(True) == PLUS_ADDRESS.most


def test_spacing_and_window_of_a_limit(container: Container, clock: FakeClock) -> None:
    def take() -> bool:
        with container.database.transaction() as session:
            return take_slot(session, READER, CONFIRMATION, now=clock(), scope="default")

    assert (take(), take()) == (True, False)
    clock.advance(minutes=59)
    assert take() is False
    clock.advance(minutes=1)
    assert take() is True
    clock.advance(hours=1)
    assert take() is True
    clock.advance(days=29)
    assert take() is False
    clock.advance(days=1)
    assert take() is True
    with container.database.transaction() as session:
        purge_mailbox_limits(session, now=clock() + datetime.timedelta(days=29))
    assert count(container, MailboxLimit) == 1
    with container.database.transaction() as session:
        purge_mailbox_limits(session, now=clock() + datetime.timedelta(days=30))
    assert count(container, MailboxLimit) == 0


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("Jane.Doe+News@Example.org", "jane.doe@example.org"),
        ("jane+a+b@example.org", "jane@example.org"),
        ("jane+@example.org", "jane@example.org"),
        ("+jane@example.org", "+jane@example.org"),
        ("josé+x@bücher.example", "josé@xn--bcher-kva.example"),
        ("j.a.n.e@example.org", "j.a.n.e@example.org"),
    ],
)
def test_mailbox_of_address(address: str, mailbox: str) -> None:
    assert mailbox_of(address) == mailbox


def test_sign_up_without_pledge_data_is_not_revealed_by_a_known_address(
    client: FlaskClient, container: Container, token: str
) -> None:
    assert post_pledge(client).status_code == 201
    known, unknown = (post_reminder(client, email=one) for one in (READER, "unknown@example.org"))
    assert known.data == unknown.data
    assert {name for name, _ in known.headers} == {name for name, _ in unknown.headers}


def test_addresses_are_not_stored_in_the_limits(client: FlaskClient, container: Container) -> None:
    post_reminder(client, email="jane.doe+1@example.org")
    with container.database.read_only() as session:
        row = session.scalars(select(MailboxLimit)).one()
    assert len(row.mailbox_hash) == 32
    assert b"jane" not in row.mailbox_hash
