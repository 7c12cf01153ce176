"""Sign-ups that are concurrent with each other, with a claim or with an erasure."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from schemas.enums import ReminderStatus
from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.supporter import Supporter
from service.domain.campaigns.definitions import get_campaign
from service.domain.reminders.reminders import CreateReminder, create_or_update_reminder
from service.domain.supporters import erase_supporter
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.db.factories import count_rows, create_reminder
from tests.jobs.fake_mailer import claim, find, status_changes
from tests.processes import wait_until

REQUEST = {"campaign": "default", "email": "reader@news.example"}


def test_concurrent_sign_ups_of_one_address_create_one_reminder(container: Container) -> None:
    app = create_app(container)
    start = threading.Barrier(10, timeout=60)

    def sign_up(number: int) -> tuple[int, dict]:
        if number < 10:
            start.wait()
        response = app.test_client().post("/v1/reminders", json=REQUEST)
        return response.status_code, response.json

    with ThreadPoolExecutor(10) as pool:
        responses = list(pool.map(sign_up, range(40)))
    assert {status for status, _ in responses} == {201}
    assert len({str(body) for _, body in responses}) == 1
    with container.database.read_only() as session:
        assert count_rows(session, Supporter) == 1
        assert session.scalars(select(Reminder)).one().occurrence == 1
        assert count_rows(session, ReminderStatusChange) == 40


def waiting_for_a_lock(container: Container) -> bool:
    with container.database.read_only() as session:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(session.scalar(text(waiting)))


def run_while_locked(container: Container, release: Callable[[], None], then: Callable[[], object]) -> None:
    """Run `then` in another thread, and `release` once it waits for a lock."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(then)
        wait_until(lambda: waiting.done() or waiting_for_a_lock(container), what="the other to wait for the lock")
        release()
        waiting.result(timeout=60)


def test_sign_up_during_claim_starts_a_new_occurrence(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "reader@news.example")
    clock.advance(days=32)
    transaction = container.database.transaction()
    session = transaction.__enter__()
    claim(session, container, limit=1)
    run_while_locked(
        container,
        lambda: transaction.__exit__(None, None, None),
        lambda: create_reminder(container, "reader@news.example"),
    )
    reminder = find(container, reminder_id)
    assert (reminder.status, reminder.occurrence) == (ReminderStatus.SCHEDULED, 2)
    assert [event for event, _ in status_changes(container, reminder_id)] == ["made", "enqueue", "ask"]


def test_claim_skips_an_uncommitted_sign_up(container: Container, clock: FakeClock) -> None:
    create_reminder(container, "reader@news.example")
    clock.advance(days=32)
    with container.database.transaction() as session:
        command = CreateReminder(campaign="default", email="reader@news.example")
        create_or_update_reminder(session, get_campaign(session, "default"), command, now=clock())
        with container.database.transaction() as other:
            assert claim(other, container, limit=1) == []


@pytest.mark.parametrize("keys", ["one key", "keys being changed"])
def test_sign_up_during_erasure_succeeds(
    container: Container, keys: str, container_with_two_keys: Container
) -> None:
    container = container if keys == "one key" else container_with_two_keys
    create_reminder(container, "reader@news.example")
    transaction = container.database.transaction()
    session = transaction.__enter__()
    erase_supporter(session, "reader@news.example", now=container.clock())
    run_while_locked(
        container,
        lambda: transaction.__exit__(None, None, None),
        lambda: create_reminder(container, "reader@news.example"),
    )
    with container.database.read_only() as session:
        assert count_rows(session, Supporter) == count_rows(session, Reminder) == 1


@pytest.fixture
def container_with_two_keys(container: Container, clock: FakeClock):
    keys = f"a-new-key-0123456789-0123456789-0123,{container.settings.secret_keys[0]}"
    two = build_container(settings_for(container.settings.database_url, SECRET_KEYS=keys), clock=clock)
    yield two
    two.database.engine.dispose()


def test_concurrent_sign_ups_of_one_address_create_one_reminder_on_sqlite(sqlite_container: Container) -> None:
    app = create_app(sqlite_container)
    with ThreadPoolExecutor(8) as pool:
        responses = list(
            pool.map(lambda _: app.test_client().post("/v1/reminders", json=REQUEST).status_code, range(40))
        )
    assert set(responses) == {201}
    with sqlite_container.database.read_only() as session:
        assert count_rows(session, Reminder) == count_rows(session, Supporter) == 1
