"""Reminders that nobody confirms are deleted after a week, and their readers with them; nobody else is."""

import dataclasses
import datetime
import uuid

import pytest
from sqlalchemy import update

from jobs.cleanup import purge_reader_data
from schemas.enums import DeliveryOutcome, ReminderStatus
from service.container import Container
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.domain.campaigns.definitions import (
    get_campaign,
    parse_definition,
    serialize_campaign,
    upsert_campaign,
)
from service.domain.errors import ReminderNotFound
from service.domain.privacy.retention import PurgeResult, purge_unconfirmed_reminders
from service.domain.reminders.reminders import CreateReminder, create_or_update_reminder
from service.domain.reminders.self_service import cancel_reminder, confirm_reminder, reminder_token
from service.domain.reminders.status import ReminderEvent
from tests.clock import FakeClock
from tests.db.factories import create_paid_pledge, create_reminder, record_delivery
from tests.jobs.fake_mailer import READER, find
from tests.jobs.test_forget_readers import left
from tests.jobs.test_forget_readers_signing_up import ask_now, standing_at
from tests.jobs.test_sign_ups import behind
from tests.threads import RUNNING

WEEK = datetime.timedelta(days=7)
MOMENT = datetime.timedelta(microseconds=1)


def have_confirmed(container: Container, slug: str = "default") -> None:
    """Make a campaign one that has its readers confirm."""
    with container.database.transaction() as session:
        terms = parse_definition(serialize_campaign(get_campaign(session, "default")))
        upsert_campaign(
            session, dataclasses.replace(terms, slug=slug, reminder_confirm=True), now=container.clock()
        )


@pytest.fixture(params=["PostgreSQL", "SQLite"])
def any_container(request: pytest.FixtureRequest) -> Container:
    """Return a desk on each database in turn, whose campaign has its readers confirm."""
    container = request.getfixturevalue("container" if request.param == "PostgreSQL" else "sqlite_container")
    have_confirmed(container)
    return container


@pytest.fixture
def confirming_container(container: Container) -> Container:
    have_confirmed(container)
    return container


def asked(container: Container, address: str = READER) -> uuid.UUID:
    """Ask for a reminder, and have its reader asked whether they want it."""
    reminder_id = create_reminder(container, address)
    record_delivery(container, reminder_id, ReminderEvent.REQUEST_CONFIRMATION)
    return reminder_id


def token_for(container: Container, reminder_id: uuid.UUID) -> str:
    return reminder_token(container.database.keyring, find(container, reminder_id))


def test_one_that_nobody_confirms_is_kept_for_a_week_and_then_gone_with_its_reader(
    any_container: Container, clock: FakeClock
) -> None:
    asked(any_container)
    clock.now += WEEK - MOMENT
    purge_reader_data(any_container, RUNNING)
    assert left(any_container)[:2] == (1, 1)
    clock.now += MOMENT
    assert purge_reader_data(any_container, RUNNING) == {"reminders": 1, "supporters": 1, "mails": 0}
    assert left(any_container) == (0, 0, 0)


def test_one_that_was_confirmed_is_kept(any_container: Container, clock: FakeClock) -> None:
    reminder_id = asked(any_container)
    with any_container.database.transaction() as session:
        confirm_reminder(session, token_for(any_container, reminder_id), now=clock())
    clock.advance(days=30)
    purge_reader_data(any_container, RUNNING)
    assert find(any_container, reminder_id).status == ReminderStatus.SCHEDULED


@pytest.mark.parametrize("status", [ReminderStatus.FAILED, ReminderStatus.SKIPPED])
def test_one_whose_question_came_to_nothing_is_not_kept_for_longer(
    confirming_container: Container, clock: FakeClock, status: ReminderStatus
) -> None:
    asked(confirming_container)
    with confirming_container.database.transaction() as session:
        session.execute(update(Reminder).values(status=status))
    clock.now += WEEK
    purge_reader_data(confirming_container, RUNNING)
    assert left(confirming_container) == (0, 0, 0)


def test_nor_is_one_whose_reader_said_no(confirming_container: Container, clock: FakeClock) -> None:
    reminder_id = asked(confirming_container)
    with confirming_container.database.transaction() as session:
        cancel_reminder(session, token_for(confirming_container, reminder_id), now=clock())
    clock.now += WEEK
    purge_reader_data(confirming_container, RUNNING)
    assert left(confirming_container) == (0, 0, 0)


def test_no_reader_is_forgotten_whom_we_have_not_asked_yet(any_container: Container, clock: FakeClock) -> None:
    waiting, leaving = (
        create_reminder(any_container, "a@news.example"),
        create_reminder(any_container, "b@news.example"),
    )
    record_delivery(any_container, leaving, outcome=DeliveryOutcome.SENDING)
    clock.advance(days=100)
    purge_reader_data(any_container, RUNNING)
    assert [find(any_container, one).status for one in (waiting, leaving)] == ["scheduled", "sending"]


def test_who_was_asked_late_has_a_week_to_answer_all_the_same(any_container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(any_container, READER)
    clock.advance(days=6)
    record_delivery(any_container, reminder_id, ReminderEvent.REQUEST_CONFIRMATION)
    clock.now += WEEK - MOMENT
    purge_reader_data(any_container, RUNNING)
    assert find(any_container, reminder_id).status == ReminderStatus.UNCONFIRMED
    clock.now += MOMENT
    purge_reader_data(any_container, RUNNING)
    assert left(any_container) == (0, 0, 0)


def test_a_reader_with_a_pledge_stays_known(any_container: Container, clock: FakeClock) -> None:
    pledge_id = create_paid_pledge(any_container, READER)
    asked(any_container)
    clock.now += WEEK
    purge_reader_data(any_container, RUNNING)
    assert left(any_container) == (1, 0, 0)
    with any_container.database.read_only() as session:
        assert session.get_one(Pledge, pledge_id).supporter.email == READER


def test_a_reader_who_is_confirming_is_passed_over(confirming_container: Container, clock: FakeClock) -> None:
    token = token_for(confirming_container, asked(confirming_container))
    clock.now += WEEK
    with confirming_container.database.transaction() as session:
        confirm_reminder(session, token, now=clock())
        purge_reader_data(confirming_container, RUNNING)
    purge_reader_data(confirming_container, RUNNING)
    assert standing_at(confirming_container, "default") == ReminderStatus.SCHEDULED


def test_a_link_that_meets_its_reminder_being_deleted_opens_nothing(
    confirming_container: Container, clock: FakeClock
) -> None:
    token = token_for(confirming_container, asked(confirming_container))
    clock.now += WEEK

    def confirm() -> None:
        with confirming_container.database.transaction() as session, pytest.raises(ReminderNotFound):
            confirm_reminder(session, token, now=clock())

    forgetting = confirming_container.database.transaction()
    session = forgetting.__enter__()
    assert purge_unconfirmed_reminders(session, now=clock()) == PurgeResult(reminders=1, supporters=1)
    behind(confirming_container, lambda: forgetting.__exit__(None, None, None), confirm)
    assert left(confirming_container) == (0, 0, 0)


@pytest.mark.parametrize("slug", ["default", "second"])
def test_a_sign_up_that_meets_a_reader_being_forgotten_makes_them_known_anew(
    confirming_container: Container, clock: FakeClock, slug: str
) -> None:
    have_confirmed(confirming_container, "second")
    asked(confirming_container)
    clock.now += WEEK
    forgetting = confirming_container.database.transaction()
    session = forgetting.__enter__()
    assert purge_unconfirmed_reminders(session, now=clock()) == PurgeResult(reminders=1, supporters=1)
    behind(
        confirming_container,
        lambda: forgetting.__exit__(None, None, None),
        lambda: ask_now(confirming_container, slug),
    )
    assert left(confirming_container) == (1, 1, 1)
    assert standing_at(confirming_container, slug) == ReminderStatus.SCHEDULED


@pytest.mark.parametrize("slug", ["default", "second"])
def test_a_reader_who_is_signing_up_is_passed_over(
    confirming_container: Container, clock: FakeClock, slug: str
) -> None:
    have_confirmed(confirming_container, "second")
    asked(confirming_container)
    clock.now += WEEK
    with confirming_container.database.transaction() as session:
        payload = CreateReminder(campaign=slug, email=READER)
        create_or_update_reminder(session, get_campaign(session, slug), payload, now=clock())
        purge_reader_data(confirming_container, RUNNING)
    assert standing_at(confirming_container, slug) == ReminderStatus.SCHEDULED
