"""Retention of unconfirmed reminders and their supporters: one week."""

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
from tests.jobs.test_reader_retention import row_counts
from tests.jobs.test_retention_during_sign_up import reminder_status, sign_up
from tests.jobs.test_sign_ups import run_while_locked
from tests.threads import RUNNING

WEEK = datetime.timedelta(days=7)
MICROSECOND = datetime.timedelta(microseconds=1)


def require_confirmation(container: Container, slug: str = "default") -> None:
    """Make a campaign require confirmations."""
    with container.database.transaction() as session:
        definition = parse_definition(serialize_campaign(get_campaign(session, "default")))
        upsert_campaign(
            session, dataclasses.replace(definition, slug=slug, reminder_confirm=True), now=container.clock()
        )


@pytest.fixture(params=["PostgreSQL", "SQLite"])
def any_container(request: pytest.FixtureRequest) -> Container:
    """Return a container on each database in turn, whose campaign requires confirmations."""
    container = request.getfixturevalue("container" if request.param == "PostgreSQL" else "sqlite_container")
    require_confirmation(container)
    return container


@pytest.fixture
def confirming_container(container: Container) -> Container:
    require_confirmation(container)
    return container


def create_unconfirmed_reminder(container: Container, address: str = READER) -> uuid.UUID:
    """Create a reminder and record its confirmation request as sent."""
    reminder_id = create_reminder(container, address)
    record_delivery(container, reminder_id, ReminderEvent.REQUEST_CONFIRMATION)
    return reminder_id


def token_for(container: Container, reminder_id: uuid.UUID) -> str:
    return reminder_token(container.database.keyring, find(container, reminder_id))


def test_unconfirmed_reminder_and_its_supporter_are_purged_after_a_week(
    any_container: Container, clock: FakeClock
) -> None:
    create_unconfirmed_reminder(any_container)
    clock.now += WEEK - MICROSECOND
    purge_reader_data(any_container, RUNNING)
    assert row_counts(any_container)[:2] == (1, 1)
    clock.now += MICROSECOND
    assert purge_reader_data(any_container, RUNNING) == {
        "reminders": 1,
        "supporters": 1,
        "erasures": 0,
        "stored_emails": 0,
    }
    assert row_counts(any_container) == (0, 0, 0)


def test_confirmed_reminder_is_retained(any_container: Container, clock: FakeClock) -> None:
    reminder_id = create_unconfirmed_reminder(any_container)
    with any_container.database.transaction() as session:
        confirm_reminder(session, token_for(any_container, reminder_id), now=clock())
    clock.advance(days=30)
    purge_reader_data(any_container, RUNNING)
    assert find(any_container, reminder_id).status == ReminderStatus.SCHEDULED


@pytest.mark.parametrize("status", [ReminderStatus.FAILED, ReminderStatus.SKIPPED])
def test_unconfirmed_reminder_with_undelivered_request_is_purged_after_a_week(
    confirming_container: Container, clock: FakeClock, status: ReminderStatus
) -> None:
    create_unconfirmed_reminder(confirming_container)
    with confirming_container.database.transaction() as session:
        session.execute(update(Reminder).values(status=status))
    clock.now += WEEK
    purge_reader_data(confirming_container, RUNNING)
    assert row_counts(confirming_container) == (0, 0, 0)


def test_unconfirmed_reminder_that_was_cancelled_is_purged_after_a_week(
    confirming_container: Container, clock: FakeClock
) -> None:
    reminder_id = create_unconfirmed_reminder(confirming_container)
    with confirming_container.database.transaction() as session:
        cancel_reminder(session, token_for(confirming_container, reminder_id), now=clock())
    clock.now += WEEK
    purge_reader_data(confirming_container, RUNNING)
    assert row_counts(confirming_container) == (0, 0, 0)


def test_reminder_whose_confirmation_request_is_queued_is_retained(
    any_container: Container, clock: FakeClock
) -> None:
    queued, sending = (
        create_reminder(any_container, "a@news.example"),
        create_reminder(any_container, "b@news.example"),
    )
    record_delivery(any_container, sending, outcome=DeliveryOutcome.SENDING)
    clock.advance(days=100)
    purge_reader_data(any_container, RUNNING)
    assert [find(any_container, reminder_id).status for reminder_id in (queued, sending)] == [
        "scheduled",
        "sending",
    ]


def test_retention_of_unconfirmed_reminder_starts_with_the_confirmation_request(
    any_container: Container, clock: FakeClock
) -> None:
    reminder_id = create_reminder(any_container, READER)
    clock.advance(days=6)
    record_delivery(any_container, reminder_id, ReminderEvent.REQUEST_CONFIRMATION)
    clock.now += WEEK - MICROSECOND
    purge_reader_data(any_container, RUNNING)
    assert find(any_container, reminder_id).status == ReminderStatus.UNCONFIRMED
    clock.now += MICROSECOND
    purge_reader_data(any_container, RUNNING)
    assert row_counts(any_container) == (0, 0, 0)


def test_supporter_with_a_pledge_outlives_an_unconfirmed_reminder(
    any_container: Container, clock: FakeClock
) -> None:
    pledge_id = create_paid_pledge(any_container, READER)
    create_unconfirmed_reminder(any_container)
    clock.now += WEEK
    purge_reader_data(any_container, RUNNING)
    assert row_counts(any_container) == (1, 0, 0)
    with any_container.database.read_only() as session:
        assert session.get_one(Pledge, pledge_id).supporter.email == READER


def test_purge_skips_a_reminder_that_is_being_confirmed(confirming_container: Container, clock: FakeClock) -> None:
    token = token_for(confirming_container, create_unconfirmed_reminder(confirming_container))
    clock.now += WEEK
    with confirming_container.database.transaction() as session:
        confirm_reminder(session, token, now=clock())
        purge_reader_data(confirming_container, RUNNING)
    purge_reader_data(confirming_container, RUNNING)
    assert reminder_status(confirming_container, "default") == ReminderStatus.SCHEDULED


def test_confirm_during_purge_finds_no_reminder(confirming_container: Container, clock: FakeClock) -> None:
    token = token_for(confirming_container, create_unconfirmed_reminder(confirming_container))
    clock.now += WEEK

    def confirm() -> None:
        with confirming_container.database.transaction() as session, pytest.raises(ReminderNotFound):
            confirm_reminder(session, token, now=clock())

    purging = confirming_container.database.transaction()
    session = purging.__enter__()
    assert purge_unconfirmed_reminders(session, now=clock()) == PurgeResult(reminders=1, supporters=1)
    run_while_locked(confirming_container, lambda: purging.__exit__(None, None, None), confirm)
    assert row_counts(confirming_container) == (0, 0, 0)


@pytest.mark.parametrize("slug", ["default", "second"])
def test_sign_up_during_purge_of_unconfirmed_recreates_the_supporter(
    confirming_container: Container, clock: FakeClock, slug: str
) -> None:
    require_confirmation(confirming_container, "second")
    create_unconfirmed_reminder(confirming_container)
    clock.now += WEEK
    purging = confirming_container.database.transaction()
    session = purging.__enter__()
    assert purge_unconfirmed_reminders(session, now=clock()) == PurgeResult(reminders=1, supporters=1)
    run_while_locked(
        confirming_container,
        lambda: purging.__exit__(None, None, None),
        lambda: sign_up(confirming_container, slug),
    )
    assert row_counts(confirming_container) == (1, 1, 1)
    assert reminder_status(confirming_container, slug) == ReminderStatus.SCHEDULED


@pytest.mark.parametrize("slug", ["default", "second"])
def test_purge_skips_an_unconfirmed_reader_who_is_signing_up(
    confirming_container: Container, clock: FakeClock, slug: str
) -> None:
    require_confirmation(confirming_container, "second")
    create_unconfirmed_reminder(confirming_container)
    clock.now += WEEK
    with confirming_container.database.transaction() as session:
        command = CreateReminder(campaign=slug, email=READER)
        create_or_update_reminder(session, get_campaign(session, slug), command, now=clock())
        purge_reader_data(confirming_container, RUNNING)
    assert reminder_status(confirming_container, slug) == ReminderStatus.SCHEDULED
