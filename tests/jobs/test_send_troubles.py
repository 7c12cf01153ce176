"""What goes wrong in a run of the job: delays, refusals, bad rows, a lost database, a worker told to stop."""

import datetime
import re
import threading
import uuid

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from jobs.reminders import send_reminders
from schemas.enums import ReminderStatus
from service.container import Container
from service.db.models.campaign import Campaign, PledgeOption
from service.db.models.email import DevOutboxEmail
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.campaigns.definitions import get_campaign
from service.domain.email.counters import read_counters
from service.domain.email.delivery import MAX_ATTEMPTS, max_backoff
from service.domain.ports import PermanentFailure, ReminderEmail, RenderedEmail, TemporaryFailure
from service.domain.reminders.failures import retry_reminder
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import (
    READER,
    FakeMailer,
    find,
    run_send_reminders,
    status_changes,
    status_counts,
    stopped_event,
    with_mailer,
    without_sending_hours,
)


def test_a_delay_is_tried_again_after_longer_and_longer_pauses_and_then_given_up(
    container: Container, clock: FakeClock
) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)
    due_on = find(container, reminder_id).due_on

    def later(_: ReminderEmail) -> None:
        raise TemporaryFailure("recipient refused for now (450)")

    container = without_sending_hours(container)
    pauses = []
    for _ in range(MAX_ATTEMPTS - 1):
        run_send_reminders(container, FakeMailer(later))
        reminder = find(container, reminder_id)
        assert reminder.status == ReminderStatus.SCHEDULED
        assert reminder.reason == "recipient refused for now (450)"
        assert reminder.due_on == due_on
        pauses.append(reminder.due_at - clock())
        clock.now = reminder.due_at - datetime.timedelta(microseconds=1)
        run_send_reminders(container, FakeMailer(later))
        assert find(container, reminder_id).attempts == len(pauses)
        clock.now = reminder.due_at
    longest = [max_backoff(attempts) for attempts in range(1, MAX_ATTEMPTS)]
    assert [pause.total_seconds() / 60 for pause in longest] == [10, 30, 90, 270, 810, 2160, 2160]
    assert all(datetime.timedelta() <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    run_send_reminders(container, FakeMailer(later))
    reminder = find(container, reminder_id)
    assert (reminder.status, reminder.attempts) == (ReminderStatus.FAILED, MAX_ATTEMPTS)
    assert reminder.reason == "recipient refused for now (450)"
    clock.advance(days=400)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.sent == []


def test_a_refusal_ends_the_reminder_until_staff_send_it_back(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)

    def never(_: ReminderEmail) -> None:
        raise PermanentFailure("recipient refused (550)")

    run_send_reminders(container, FakeMailer(never))
    assert find(container, reminder_id).status == ReminderStatus.FAILED
    assert find(container, reminder_id).reason == "recipient refused (550)"
    with container.database.transaction() as session:
        retry_reminder(session, reminder_id, now=clock())
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.addresses == [READER]
    assert [event for event, _ in status_changes(container, reminder_id)] == [
        "made",
        "claim",
        "fail",
        "send_back",
        "claim",
        "deliver",
    ]


def test_who_is_told_to_stop_finishes_the_mail_in_hand_and_hands_the_rest_back(
    container: Container, clock: FakeClock
) -> None:
    asked = [create_reminder(container, f"reader-{number}@news.example") for number in range(5)]
    clock.advance(days=32)
    stop = threading.Event()
    mailer = FakeMailer(lambda _: stop.set())
    send_reminders(with_mailer(container, mailer), stop)
    assert mailer.addresses == ["reader-0@news.example"]
    assert mailer.closes == 1
    assert find(container, asked[0]).status == ReminderStatus.SENT
    for reminder_id in asked[1:]:
        reminder = find(container, reminder_id)
        assert (reminder.status, reminder.attempts) == (ReminderStatus.SCHEDULED, 0)
        assert status_changes(container, reminder_id)[-1] == ("lose_lease", "scheduled")


def test_who_was_told_to_stop_before_claims_nothing(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)
    send_reminders(with_mailer(container, FakeMailer()), stopped_event())
    assert find(container, reminder_id).status == ReminderStatus.SCHEDULED


def poison(container: Container, address: str, kind: str) -> uuid.UUID:
    """Set a reminder and spoil it as `kind` says, as only a fault or an attack could."""
    reminder_id = create_reminder(container, address)
    with container.database.transaction() as session:
        reminder = session.get_one(Reminder, reminder_id)
        supporter = update(Supporter).where(Supporter.id == reminder.supporter_id)
        if kind == "undecryptable address":
            garbage = text("UPDATE supporters SET email = 'garbage' WHERE id = :id")
            session.execute(garbage, {"id": reminder.supporter_id})
        elif kind == "forged header":
            session.execute(supporter.values(email=f"{address}\r\nBcc: victim@news.example"))
        elif kind == "unknown zone":
            reminder.timezone = "Mars/Olympus"
        elif kind == "template error":
            reminder.campaign_id = broken_campaign(session)
    return reminder_id


def broken_campaign(session) -> uuid.UUID:
    standing = get_campaign(session, "default")
    columns = {column.key: getattr(standing, column.key) for column in Campaign.__table__.columns}
    columns |= {"id": uuid.uuid4(), "slug": "broken", "texts": {"en": {"mail_subject": "{nobody} {knows"}}}
    session.add(Campaign(**columns))
    session.flush()
    session.add(
        PledgeOption(
            campaign_id=columns["id"],
            currency=columns["currency"],
            frequency="once",
            position=0,
            presets_minor=[200],
            default_minor=200,
            minimum_minor=200,
            maximum_minor=200,
        )
    )
    session.flush()
    return columns["id"]


POISONS = ("undecryptable address", "forged header", "unknown zone", "template error")


def test_a_row_that_cannot_be_sent_fails_alone_and_all_others_leave(
    container: Container, clock: FakeClock
) -> None:
    poisoned = {}
    for number in range(50):
        if number % 13 == 0:
            kind = POISONS[number // 13]
            poisoned[kind] = poison(container, f"reader-{number}@news.example", kind)
        else:
            create_reminder(container, f"reader-{number}@news.example")
    forged_page = "https://paper.example/\r\nBcc: victim@news.example"
    poisoned["forged page"] = create_reminder(container, "page@news.example", page_url=forged_page)
    clock.advance(days=32)
    run_send_reminders(container)
    assert status_counts(container) == {"sent": 46, "failed": 5}
    for kind, reminder_id in poisoned.items():
        reminder = find(container, reminder_id)
        assert reminder.status == ReminderStatus.FAILED, kind
        assert reminder.reason is not None
        assert reminder.reason.startswith("could not be written: ")
        assert "news.example" not in reminder.reason
        assert status_changes(container, reminder_id)[-1] == ("fail", "failed")
    with container.database.read_only() as session:
        headers = [message.partition("\n\n")[0] for message in session.scalars(select(DevOutboxEmail.message))]
    assert len(headers) == 46
    # A name stands at the beginning of a line; the letters alone can also come up in a token.
    assert not any(re.search("^bcc", head, re.IGNORECASE | re.MULTILINE) for head in headers)


class CannotWrite(FakeMailer):
    """A mailer that cannot make a mail of the letters to one address."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def render(self, email: ReminderEmail) -> RenderedEmail:
        if email.to == self._address:
            raise ValueError("no header holds this")
        return super().render(email)


@pytest.mark.parametrize("bad", range(3))
def test_a_mail_that_cannot_be_made_is_counted_once_as_failed_and_as_nothing_else(
    container: Container, clock: FakeClock, bad: int
) -> None:
    asked = [create_reminder(container, f"reader-{number}@news.example") for number in range(3)]
    clock.advance(days=32)
    counts = run_send_reminders(container, CannotWrite(f"reader-{bad}@news.example"))
    assert {name: count for name, count in counts.items() if count} == {"sent": 2, "failed": 1}
    assert find(container, asked[bad]).status == ReminderStatus.FAILED
    assert status_changes(container, asked[bad])[-1] == ("fail", "failed")
    with container.database.read_only() as session:
        assert {name: count for name, count in read_counters(session).items() if count} == {"sent": 2, "failed": 1}


def test_a_database_that_goes_away_is_no_fault_of_the_reminder(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)

    def gone(_: ReminderEmail) -> None:
        raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))

    mailer = FakeMailer(gone)
    with pytest.raises(OperationalError):
        run_send_reminders(container, mailer)
    assert mailer.closes == 1
    # Whether it left is not known, so it is sent again; an attempt that began is one that counts.
    assert find(container, reminder_id).status == ReminderStatus.SCHEDULED
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.addresses == [READER]
    assert find(container, reminder_id).attempts == 2
