"""Retention of finished reminders, their supporters, and stored emails."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, text, update

from jobs.cleanup import purge_reader_data
from jobs.schedule import JOBS
from schemas.enums import ReminderStatus
from service.container import Container
from service.db.models.email import DevOutboxEmail
from service.db.models.pledge import Pledge
from service.db.models.reminder import FINAL_STATUSES, Reminder, ReminderStatusChange
from service.db.models.supporter import Supporter
from service.domain.errors import ReminderNotFound
from service.domain.privacy.retention import PurgeResult, purge_finished_reminders
from service.domain.reminders.self_service import get_reminder_by_token, reminder_token, snooze_reminder
from tests.clock import FakeClock
from tests.db.factories import count_rows, create_paid_pledge, create_reminder
from tests.jobs.fake_mailer import READER, run_send_reminders, stopped_event
from tests.threads import RUNNING

UNFINISHED = [status for status in ReminderStatus if status not in FINAL_STATUSES]


@pytest.fixture(params=["PostgreSQL", "SQLite"])
def any_container(request: pytest.FixtureRequest) -> Container:
    """Return a container on each database in turn."""
    return request.getfixturevalue("container" if request.param == "PostgreSQL" else "sqlite_container")


def row_counts(container: Container) -> tuple[int, int, int]:
    """Return the numbers of supporters, reminders and status changes."""
    with container.database.read_only() as session:
        return (
            count_rows(session, Supporter),
            count_rows(session, Reminder),
            count_rows(session, ReminderStatusChange),
        )


def set_all(container: Container, **values: object) -> None:
    with container.database.transaction() as session:
        session.execute(update(Reminder).values(**values))


def create_finished_reminder(container: Container, address: str = READER) -> None:
    """Create a reminder that was due and sent 401 days ago."""
    create_reminder(container, address)
    finished_at = container.clock() - datetime.timedelta(days=401)
    set_all(container, status=ReminderStatus.SENT, asked_at=finished_at, due_at=finished_at, sent_at=finished_at)


@pytest.mark.parametrize("status", FINAL_STATUSES)
def test_finished_reminder_and_its_supporter_are_purged_after_400_days(
    any_container: Container, clock: FakeClock, status: ReminderStatus
) -> None:
    create_reminder(any_container, READER)
    set_all(any_container, status=status, due_at=clock())
    clock.advance(days=399)
    purge_reader_data(any_container, RUNNING)
    assert row_counts(any_container) == (1, 1, 1)
    clock.advance(days=2)
    purge_reader_data(any_container, RUNNING)
    assert row_counts(any_container) == (0, 0, 0)


@pytest.mark.parametrize("status", UNFINISHED)
def test_unfinished_reminder_is_never_purged(
    any_container: Container, clock: FakeClock, status: ReminderStatus
) -> None:
    create_reminder(any_container, READER)
    set_all(any_container, status=status)
    clock.advance(days=4000)
    purge_reader_data(any_container, RUNNING)
    assert row_counts(any_container) == (1, 1, 1)


@pytest.mark.parametrize("column", ["due_at", "asked_at", "sent_at"])
def test_reminder_with_recent_activity_is_retained(container: Container, clock: FakeClock, column: str) -> None:
    create_finished_reminder(container)
    set_all(container, **{column: clock() - datetime.timedelta(days=399)})
    purge_reader_data(container, RUNNING)
    assert row_counts(container) == (1, 1, 1)


def test_reminder_link_works_for_a_year(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    # The worker was down when it was due, so the email is sent late.
    clock.advance(days=100)
    run_send_reminders(container)
    with container.database.read_only() as session:
        token = reminder_token(container.database.keyring, session.get_one(Reminder, reminder_id))
    clock.advance(days=366)
    purge_reader_data(container, RUNNING)
    with container.database.transaction() as session:
        assert snooze_reminder(session, token, months=None, now=clock()).status == ReminderStatus.SCHEDULED
    set_all(container, status=ReminderStatus.SENT, sent_at=clock())
    clock.advance(days=440)
    purge_reader_data(container, RUNNING)
    with container.database.read_only() as session, pytest.raises(ReminderNotFound):
        get_reminder_by_token(session, token, now=clock())


def test_supporter_with_a_pledge_is_retained(any_container: Container) -> None:
    pledge_id = create_paid_pledge(any_container, READER)
    create_finished_reminder(any_container)
    purge_reader_data(any_container, RUNNING)
    assert row_counts(any_container) == (1, 0, 0)
    with any_container.database.read_only() as session:
        assert session.get_one(Pledge, pledge_id).supporter.email == READER


def test_outbox_email_is_purged_after_a_month_without_its_reminder(
    any_container: Container, clock: FakeClock
) -> None:
    create_reminder(any_container, READER)
    clock.advance(days=32)
    run_send_reminders(any_container)
    for days, count in ((29, 1), (2, 0)):
        clock.advance(days=days)
        purge_reader_data(any_container, RUNNING)
        with any_container.database.read_only() as session:
            assert count_rows(session, DevOutboxEmail) == count
    assert row_counts(any_container)[:2] == (1, 1)


def test_purge_runs_in_batches_concurrently_and_stops_on_request(container: Container) -> None:
    create_finished_reminder(container)
    copy_reader(container, 449)
    purge_reader_data(container, stopped_event())
    assert row_counts(container)[:2] == (450, 450)
    with container.database.transaction() as session:
        assert purge_finished_reminders(session, now=container.clock()) == PurgeResult(
            reminders=200, supporters=200
        )
        with container.database.transaction() as other:
            assert purge_finished_reminders(other, now=container.clock()) == PurgeResult(
                reminders=200, supporters=200
            )
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: purge_reader_data(container, RUNNING), range(2)))
    assert row_counts(container) == (0, 0, 0)


def copy_reader(container: Container, count: int) -> None:
    """Create `count` copies of the only supporter and reminder."""
    with container.database.transaction() as session:
        session.execute(text("CREATE TEMPORARY TABLE more ON COMMIT DROP AS SELECT * FROM supporters"))
        columns = ", ".join(
            column.name for column in Reminder.__table__.columns if column.name not in ("id", "supporter_id")
        )
        session.execute(
            text(
                "WITH people AS (INSERT INTO supporters (id, email, email_hash, created_at)"
                " SELECT gen_random_uuid(), email, sha256(number::text::bytea), created_at"
                " FROM more, generate_series(1, :count) AS number RETURNING id)"
                f" INSERT INTO reminders (id, supporter_id, {columns})"
                f" SELECT gen_random_uuid(), people.id, {columns} FROM people, reminders"
            ),
            {"count": count},
        )


@pytest.mark.parametrize("index", ["ix_reminders_awaiting", "ix_reminders_finished"])
def test_purge_queries_use_an_index(any_container: Container, index: str) -> None:
    create_finished_reminder(any_container)
    queries: list[tuple[str, object]] = []
    engine = any_container.database.engine
    if engine.dialect.name == "postgresql":
        copy_reader(any_container, 20_000)
        set_all(any_container, due_at=any_container.clock())
        with engine.begin() as connection:
            connection.execute(text("ANALYZE reminders"))

    def record(_connection, _cursor, statement, parameters, _context, _many):
        if statement.startswith("SELECT reminders.id") and len(queries) < 2:
            queries.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", record)
    purge_reader_data(any_container, RUNNING)
    event.remove(engine, "before_cursor_execute", record)
    explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    with engine.connect() as connection:
        plans = [connection.exec_driver_sql(f"{explain} {query}", values).all() for query, values in queries]
    [plan] = [plan for plan in ("\n".join(str(row[-1]) for row in rows) for rows in plans) if index in plan]
    assert "Seq Scan on reminders" not in plan
    assert "SCAN reminders\n" not in plan


def test_purge_log_has_counts_and_no_addresses(container: Container, capsys: pytest.CaptureFixture[str]) -> None:
    create_finished_reminder(container)
    purge_reader_data(container, RUNNING)
    output = capsys.readouterr().out
    assert "reader_data_purged" in output
    assert "@" not in output


def test_purge_runs_every_hour() -> None:
    assert [job.every_seconds for job in JOBS if job.run is purge_reader_data] == [3600]
