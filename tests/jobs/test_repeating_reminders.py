"""Repeating reminders, suppressed readers, and the counters."""

from sqlalchemy import select, update

from schemas.enums import SuppressionReason
from service.container import Container
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.domain.email.counters import read_counters
from service.domain.email.suppression import suppress
from service.domain.ports import (
    PermanentFailure,
    ReminderEmail,
)
from tests.clock import FakeClock
from tests.db.factories import create_paid_pledge, create_reminder
from tests.jobs import notifications
from tests.jobs.fake_mailer import READER, FakeMailer, find, run_send_reminders, status_changes, status_counts


def test_suppressed_repeating_reminder_is_skipped_and_does_not_repeat(
    container: Container, clock: FakeClock
) -> None:
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(reminder_repeats=[1]))
    reminder_id = create_reminder(container, READER, repeat=True, months=1)
    with container.database.transaction() as session:
        suppress(session, READER, reason=SuppressionReason.COMPLAINT, now=clock())
    clock.advance(days=400)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.sent == []
    assert status_changes(container, reminder_id)[-1] == ("skip", "skipped")


def test_repeating_reminder_is_sent_each_month(container: Container, clock: FakeClock) -> None:
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(reminder_repeats=[1]))
    reminder_id = create_reminder(container, READER, repeat=True, months=1)
    mailer, due = FakeMailer(), []
    for number in range(4):
        reminder = find(container, reminder_id)
        assert reminder.occurrence == number + 1
        due.append(reminder.due_on)
        clock.now = reminder.due_at
        run_send_reminders(container, mailer)
        run_send_reminders(container, mailer)
    assert len(mailer.sent) == len({email.message_id for email in mailer.sent}) == 4
    with container.database.read_only() as session:
        emails = session.scalars(select(OutgoingEmail).order_by(OutgoingEmail.occurrence)).all()
    assert [(email.occurrence, email.status, email.attempts) for email in emails] == [
        (number, "sent", 1) for number in range(1, 5)
    ]
    assert [day.day for day in due] == [due[0].day] * 4
    assert [email.every_months for email in mailer.sent] == [1] * 4


def test_missed_occurrences_send_one_email(container: Container, clock: FakeClock) -> None:
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(reminder_repeats=[1]))
    reminder_id = create_reminder(container, READER, repeat=True, months=1)
    clock.advance(days=200)
    clock.now = clock.now.replace(hour=12)
    mailer = FakeMailer()
    for _ in range(3):
        run_send_reminders(container, mailer)
    assert mailer.addresses == [READER]
    assert find(container, reminder_id).due_at > clock()


def test_payment_skips_one_occurrence(container: Container, clock: FakeClock) -> None:
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(reminder_repeats=[1]))
    reminder_id = create_reminder(container, READER, repeat=True, months=1)
    clock.advance(days=2)
    create_paid_pledge(container, READER)
    notifications.run(container, FakeMailer())
    mailer = FakeMailer()
    clock.now = find(container, reminder_id).due_at
    run_send_reminders(container, mailer)
    assert mailer.sent == []
    assert [event for event, _ in status_changes(container, reminder_id)][-2:] == ["skip", "come_again"]
    for _ in range(2):
        clock.now = find(container, reminder_id).due_at
        run_send_reminders(container, mailer)
    assert mailer.addresses == [READER] * 2


def test_counters_match_the_outcomes(container: Container, clock: FakeClock) -> None:
    for number in range(5):
        create_reminder(container, f"reader-{number}@news.example")
    clock.advance(days=32)

    def refuse_one(email: ReminderEmail) -> None:
        if email.to.startswith("reader-3"):
            raise PermanentFailure("message refused (554)")

    assert run_send_reminders(container, FakeMailer(refuse_one)) == {"sent": 4, "failed": 1, "postponed": 0}
    assert status_counts(container) == {"sent": 4, "failed": 1}
    with container.database.read_only() as session:
        assert {name: count for name, count in read_counters(session).items() if count} == {"sent": 4, "failed": 1}
