"""Sign-ups that are concurrent with the purge of the same reader."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, select, text

from jobs.cleanup import purge_reader_data
from schemas.enums import ReminderStatus
from service.bootstrap import build_container
from service.commands.demo_campaign import load_demo_campaign
from service.container import Container
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.campaigns.definitions import get_campaign, upsert_campaign
from service.domain.privacy.retention import PurgeResult, purge_finished_reminders
from service.domain.reminders.reminders import CreateReminder, create_or_update_reminder
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.db.factories import count_rows
from tests.jobs.fake_mailer import READER
from tests.jobs.test_reader_retention import create_finished_reminder, row_counts
from tests.jobs.test_sign_ups import run_while_locked, waiting_for_a_lock
from tests.processes import wait_until
from tests.threads import RUNNING

PAUSE_LOCK = 47


def sign_up(container: Container, slug: str = "default") -> None:
    with container.database.transaction() as session:
        command = CreateReminder(campaign=slug, email=READER)
        create_or_update_reminder(session, get_campaign(session, slug), command, now=container.clock())


@pytest.fixture(params=["one key", "keys being changed"])
def signing_up_container(request: pytest.FixtureRequest, container: Container, clock: FakeClock):
    """Return the container for sign-ups. With one key a sign-up updates its supporter, with two it locks it."""
    if request.param == "one key":
        yield container
        return
    keys = f"a-new-key-0123456789-0123456789-0123,{container.settings.secret_keys[0]}"
    two = build_container(settings_for(container.settings.database_url, SECRET_KEYS=keys), clock=clock)
    yield two
    two.database.engine.dispose()


@pytest.fixture
def second_campaign(container: Container) -> str:
    with container.database.transaction() as session:
        definition = dataclasses.replace(load_demo_campaign(), slug="second")
        upsert_campaign(session, definition, now=container.clock())
    return "second"


@pytest.mark.parametrize("slug", ["default", "second"])
def test_purge_skips_a_reader_who_is_signing_up(
    container: Container, signing_up_container: Container, second_campaign: str, slug: str
) -> None:
    create_finished_reminder(container)
    with signing_up_container.database.transaction() as session:
        command = CreateReminder(campaign=slug, email=READER)
        create_or_update_reminder(session, get_campaign(session, slug), command, now=container.clock())
        purge_reader_data(container, RUNNING)
    assert reminder_status(container, slug) == ReminderStatus.SCHEDULED


@pytest.mark.parametrize("slug", ["default", "second"])
def test_sign_up_during_purge_recreates_the_supporter(
    container: Container, signing_up_container: Container, second_campaign: str, slug: str
) -> None:
    create_finished_reminder(container)
    purging = container.database.transaction()
    session = purging.__enter__()
    assert purge_finished_reminders(session, now=container.clock()) == PurgeResult(reminders=1, supporters=1)
    run_while_locked(
        container, lambda: purging.__exit__(None, None, None), lambda: sign_up(signing_up_container, slug)
    )
    assert row_counts(container) == (1, 1, 1)
    assert reminder_status(container, slug) == ReminderStatus.SCHEDULED


@pytest.mark.parametrize("slug", ["default", "second"])
def test_sign_up_between_the_purge_query_and_its_lock_is_not_lost(
    container: Container, signing_up_container: Container, second_campaign: str, slug: str
) -> None:
    create_finished_reminder(container)
    purging = build_container(container.settings, clock=container.clock)

    @event.listens_for(purging.database.engine, "before_cursor_execute", retval=True)
    def pause_after_snapshot(_connection, _cursor, statement, parameters, _context, _many):
        # PostgreSQL takes the statement's snapshot before it waits for this lock.
        pause = f"WHERE (SELECT pg_advisory_xact_lock_shared({PAUSE_LOCK})::text) IS NOT NULL AND "
        if statement.startswith("SELECT reminders.id"):
            statement = statement.replace("WHERE ", pause, 1)
        return statement, parameters

    pausing = container.database.transaction()
    session = pausing.__enter__()
    session.execute(text(f"SELECT pg_advisory_xact_lock({PAUSE_LOCK})"))
    with ThreadPoolExecutor(1) as pool:
        purge = pool.submit(purge_reader_data, purging, RUNNING)
        wait_until(lambda: purge.done() or waiting_for_a_lock(container), what="the purge query to wait")
        assert not purge.done()
        sign_up(signing_up_container, slug)
        pausing.__exit__(None, None, None)
        purge.result(timeout=60)
    purging.database.engine.dispose()
    assert reminder_status(container, slug) == ReminderStatus.SCHEDULED


def reminder_status(container: Container, slug: str) -> ReminderStatus | None:
    with container.database.read_only() as session:
        assert count_rows(session, Supporter) == 1
        campaign_id = get_campaign(session, slug).id
        return session.scalar(select(Reminder.status).where(Reminder.campaign_id == campaign_id))
