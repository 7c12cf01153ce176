"""Sending reminders: due ones once, and none that the reader no longer needs."""

import datetime
from email import message_from_string
from email.policy import default as default_policy
from typing import Any

import pytest
from sqlalchemy import func, select

from schemas.enums import Frequency, ReminderStatus
from service.container import Container
from service.db.models.email import DevOutboxEmail
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.campaigns.definitions import get_campaign
from service.domain.money import Money
from service.domain.payments.event_handlers import SandboxCharge, record_sandbox_decline
from service.domain.pledges.pledges import CreatePledge, create_pledge
from service.domain.ports import ReminderEmail, TemporaryFailure
from service.domain.reminders.self_service import cancel_reminder, reminder_token
from tests.clock import FakeClock
from tests.db.factories import create_paid_pledge, create_reminder
from tests.jobs import notifications
from tests.jobs.fake_mailer import (
    READER,
    FakeMailer,
    email_of,
    find,
    run_send_reminders,
    status_changes,
    status_counts,
)


def test_due_reminder_is_sent_once(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER, page_url="https://paper.example/a")
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.sent == []
    clock.advance(days=32)
    for _ in range(3):
        run_send_reminders(container, mailer)
    assert mailer.addresses == [READER]
    reminder = find(container, reminder_id)
    assert (reminder.status, reminder.sent_at) == (ReminderStatus.SENT, clock())
    email = email_of(container, reminder_id)
    assert (email.status, email.outcome, email.attempts, email.leased_until) == ("sent", "accepted", 1, None)
    assert status_changes(container, reminder_id) == [
        ("made", "scheduled"),
        ("enqueue", "sending"),
        ("deliver", "sent"),
    ]


def test_due_reminders_are_sent_on_sqlite(sqlite_container: Container, clock: FakeClock) -> None:
    for number in range(25):
        create_reminder(sqlite_container, f"reader-{number}@news.example")
    clock.advance(days=32)
    run_send_reminders(sqlite_container)
    assert status_counts(sqlite_container) == {"sent": 25}
    with sqlite_container.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(DevOutboxEmail)) == 25


def test_oldest_due_reminder_is_sent_first_across_batches(container: Container, clock: FakeClock) -> None:
    for number in range(45):
        create_reminder(container, f"reader-{number}@news.example")
    with container.database.transaction() as session:
        # The last one requested becomes the oldest due.
        for number, reminder in enumerate(session.scalars(select(Reminder).order_by(Reminder.id.desc()))):
            reminder.due_at = clock() + datetime.timedelta(hours=number)
    clock.advance(days=10)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.addresses == [f"reader-{number}@news.example" for number in reversed(range(45))]


def test_message_id_is_stable_across_retries_and_new_for_each_occurrence(
    container: Container, clock: FakeClock
) -> None:
    create_reminder(container, READER)
    message_ids: list[str] = []

    def record_and_defer(email: ReminderEmail) -> None:
        message_ids.append(email.message_id)
        if len(message_ids) == 1:
            raise TemporaryFailure("later")

    mailer = FakeMailer(record_and_defer)
    for _ in range(2):
        clock.advance(days=32)
        run_send_reminders(container, mailer)
    create_reminder(container, READER)
    clock.advance(days=32)
    run_send_reminders(container, mailer)
    first, again, next_occurrence = message_ids
    assert first == again != next_occurrence


def test_reminder_is_skipped_if_the_reader_has_paid_since(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=3)
    create_paid_pledge(container, READER)
    notifications.run(container, FakeMailer())
    clock.advance(days=32)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.sent == []
    reminder = find(container, reminder_id)
    assert (reminder.status, reminder.reason) == (ReminderStatus.SKIPPED, "already_gave")
    assert status_changes(container, reminder_id)[-1] == ("skip", "skipped")


def test_reminder_is_sent_if_the_reader_paid_before_the_request(container: Container, clock: FakeClock) -> None:
    create_paid_pledge(container, READER)
    notifications.run(container, FakeMailer())
    clock.advance(days=3)
    create_reminder(container, READER)
    clock.advance(days=32)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.addresses == [READER]


def test_reminder_is_sent_if_the_payment_failed(container: Container, clock: FakeClock) -> None:
    create_reminder(container, READER)
    clock.advance(days=3)
    with container.database.transaction() as session:
        supporter = session.scalars(select(Supporter)).one()
        command = CreatePledge(campaign="default", frequency=Frequency.ONCE, amount=500, currency="USD")
        pledge = create_pledge(session, get_campaign(session, "default"), command, gateway="sandbox", now=clock())
        pledge.supporter_id = supporter.id
        record_sandbox_decline(
            session, pledge.id, SandboxCharge(reference="declined", money=Money(500, "USD")), now=clock()
        )
    clock.advance(days=32)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.addresses == [READER]


def test_reminder_is_sent_if_another_reader_paid(container: Container, clock: FakeClock) -> None:
    create_reminder(container, READER)
    create_paid_pledge(container, "other@news.example")
    notifications.run(container, FakeMailer())
    clock.advance(days=32)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.addresses == [READER]


def test_cancelled_reminder_is_never_sent(container: Container, clock: FakeClock) -> None:
    create_reminder(container, READER)
    with container.database.transaction() as session:
        token = reminder_token(container.database.keyring, session.scalars(select(Reminder)).one())
        cancel_reminder(session, token, now=clock())
    clock.advance(days=400)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.sent == []


def test_cancel_between_claim_and_sending_prevents_the_email(container: Container, clock: FakeClock) -> None:
    first, second = create_reminder(container, "a@news.example"), create_reminder(container, "b@news.example")
    clock.advance(days=32)

    def cancel_the_other(_: ReminderEmail) -> None:
        with container.database.transaction() as session:
            token = reminder_token(container.database.keyring, session.get_one(Reminder, second))
            cancel_reminder(session, token, now=clock())

    mailer = FakeMailer(cancel_the_other)
    run_send_reminders(container, mailer)
    assert mailer.addresses == ["a@news.example"]
    assert find(container, first).status == ReminderStatus.SENT
    assert find(container, second).status == ReminderStatus.CANCELLED
    assert (email_of(container, second).status, email_of(container, second).attempts) == ("cancelled", 0)


@pytest.mark.parametrize(
    ("changes", "page", "is_named"),
    [
        # While any site may embed the campaign, a request may name a page of anybody.
        ({"origins": ["*"]}, "https://evil.example/phish", False),
        ({"origins": ["*"]}, "https://paper.example/a", False),
        ({"origins": ["*"]}, "http://desk.test/demo", True),
        ({"origins": ["*"]}, "http://desk.test.evil.example/", False),
        ({"origins": ["*"]}, "http://desk.test:8080/", False),
        ({"origins": ["*"], "return_hosts": ["paper.example"]}, "https://paper.example/a", True),
        ({"origins": ["*"], "return_hosts": ["paper.example"]}, "https://www.paper.example/a", False),
        ({"origins": ["*"], "support_url": "https://paper.example/support"}, "https://paper.example/a", True),
        ({"origins": ["*"], "support_url": "https://paper.example/support"}, "https://evil.example/", False),
        ({"origins": ["*", "https://paper.example"]}, "https://paper.example/a", True),
        ({"origins": ["*", "https://paper.example"]}, "https://evil.example/a", False),
        ({"origins": ["https://paper.example"]}, "https://paper.example/a", True),
        ({"origins": ["https://paper.example:443"]}, "https://paper.example/a", True),
        ({"origins": ["https://paper.example"]}, "https://elsewhere.example/a", False),
        ({"origins": ["https://paper.example"]}, "http://paper.example/a", False),
        ({"origins": ["https://paper.example"]}, "http://desk.test/demo", True),
        # That is no page to go back to.
        ({"origins": ["https://paper.example"]}, "http://desk.test/support/default", False),
    ],
)
def test_email_names_only_pages_of_the_newsroom(
    container: Container, clock: FakeClock, changes: dict[str, Any], page: str, is_named: bool
) -> None:
    with container.database.transaction() as session:
        campaign = get_campaign(session, "default")
        for name, value in changes.items():
            setattr(campaign, name, value)
    create_reminder(container, READER, page_url=page, page_title="The tide turns")
    clock.advance(days=32)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    [email] = mailer.sent
    assert (email.requested_from, email.page_title) == ((page, "The tide turns") if is_named else (None, None))


@pytest.mark.parametrize(
    ("title", "is_shown"),
    [
        ("Harbour wall: 3.5 m is not enough", True),
        ("Q&A with @mayor, part 2", True),
        ("U.S. court: No. 7 at 6.40 a.m. … the verdict", True),
        ("\u200fالمد يعود", True),
        ("Claim your prize at evil.example", False),
        ("Claim your prize: evil.example/now", False),
        ("\u202eelpmaxe.live ta won niW", False),
        ("Win now at https://evil.example", False),
        ("WWW.evil.example", False),
        ("write to me@evil.example", False),
    ],
)
def test_title_that_could_pass_for_a_link_is_left_out(
    container: Container, clock: FakeClock, title: str, is_shown: bool
) -> None:
    page = "http://desk.test/demo"
    create_reminder(container, READER, page_url=page, page_title=title)
    clock.advance(days=32)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    [email] = mailer.sent
    assert (email.requested_from, email.page_title) == (page, title if is_shown else None)


def test_amount_in_a_removed_currency_is_left_out(container: Container, clock: FakeClock) -> None:
    create_reminder(container, READER, amount=500, frequency=Frequency.MONTHLY)
    with container.database.transaction() as session:
        campaign = get_campaign(session, "default")
        for option in (campaign, *campaign.pledge_options):
            option.currency = "JPY"
    clock.advance(days=32)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert [email.money for email in mailer.sent] == [None]
    assert "/support/default?frequency=monthly&from=" in mailer.sent[0].give_url


def test_email_uses_the_campaigns_own_language(container: Container, clock: FakeClock) -> None:
    with container.database.transaction() as session:
        get_campaign(session, "default").texts = {"de": {"mail_subject": "Erinnerung von {campaign}"}}
    create_reminder(container, READER, lang="de-AT")
    clock.advance(days=32)
    run_send_reminders(container)
    with container.database.read_only() as session:
        message = session.scalars(select(DevOutboxEmail.message)).one()
    assert "Subject: Erinnerung von The Harbour Lantern" in message
    assert "Content-Language: de-AT" in message
    text = message_from_string(message, policy=default_policy).get_body(("plain",)).get_content()
    assert "23. November 2026".replace(" ", "\N{NO-BREAK SPACE}") in text
