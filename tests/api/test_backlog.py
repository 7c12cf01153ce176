"""/readyz says by name when reminders do not leave in time, or no mail can; asking costs next to nothing."""

import datetime
import threading
import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, text, update

from jobs.record import JobRecord
from jobs.schedule import Job
from jobs.worker import run_once
from schemas.vocabulary import ReminderStatus
from service.db.reminder import Reminder
from service.desk import Desk
from service.domain.mail.backlog import count_due, longest_wait
from service.domain.ports import MailServerAway, MailServerRefusesUs
from service.domain.watch.summary import beat
from tests.api.wire import assert_problem
from tests.clock import Clock
from tests.db.people import ask

GO_ON = threading.Event()
REFUSED = "the mail server refuses us; check MAIL_URL"


@pytest.fixture
def due(desk: Desk, clock: Clock) -> uuid.UUID:
    """Return a reminder that is due at this instant."""
    reminder_id = ask(desk, "reader@news.example")
    change(desk, reminder_id, due_at=clock())
    return reminder_id


def change(desk: Desk, reminder_id: uuid.UUID, **values: object) -> None:
    with desk.database.transaction() as session:
        session.execute(update(Reminder).where(Reminder.id == reminder_id).values(**values))


def failing(client: FlaskClient, desk: Desk) -> dict[str, str]:
    """Return the checks that fail while a worker lives."""
    with desk.database.transaction() as session:
        beat(session, worker=desk.worker_id, now=desk.clock())
    response = client.get("/readyz")
    if response.status_code == 200:
        return {}
    checks = assert_problem(response, 503, "not_ready")["checks"]
    return {name: answer for name, answer in checks.items() if answer != "ok"}


def send(desk: Desk, *, counts: dict[str, int] | None = None, error: Exception | None = None) -> None:
    """Let a run of the sending job end like this."""

    def run(_desk: Desk, _stop: threading.Event) -> dict[str, int] | None:
        if error:
            raise error
        return counts

    run_once(Job("send_reminders", run, 5), desk, JobRecord(desk), GO_ON)


def test_a_reminder_that_waits_for_more_than_an_hour_is_named_with_its_wait(
    client: FlaskClient, desk: Desk, clock: Clock, due: uuid.UUID
) -> None:
    clock.advance(hours=1)
    assert failing(client, desk) == {}
    clock.advance(minutes=1)
    assert failing(client, desk) == {
        "reminders": "the oldest due reminder has waited 61 minutes; is a worker sending? see mainstay jobs"
    }
    change(desk, due, status=ReminderStatus.SENT)
    assert failing(client, desk) == {}


def test_the_oldest_counts_and_not_what_lies_ahead_or_ended(client: FlaskClient, desk: Desk, clock: Clock) -> None:
    ended, newer, oldest, ahead = (ask(desk, f"reader-{number}@news.example") for number in range(4))
    change(desk, ended, due_at=clock() - datetime.timedelta(days=9), status=ReminderStatus.CANCELLED)
    change(desk, newer, due_at=clock() - datetime.timedelta(minutes=2))
    change(desk, oldest, due_at=clock() - datetime.timedelta(minutes=90))
    change(desk, ahead, due_at=clock() + datetime.timedelta(seconds=1))
    assert "waited 90 minutes" in failing(client, desk)["reminders"]
    with desk.database.reading() as session:
        assert count_due(session, now=clock()) == 2
        assert count_due(session, now=clock(), most=1) == 1


def test_a_mail_server_that_refuses_us_is_named_until_it_takes_a_mail_again(
    client: FlaskClient, desk: Desk, clock: Clock, due: uuid.UUID
) -> None:
    assert failing(client, desk) == {}
    send(desk, error=MailServerRefusesUs("535 wrong password"))
    assert failing(client, desk) == {"mail": REFUSED}
    clock.advance(seconds=5)
    # While the server is left alone for a while, runs find nothing to do; that mends nothing.
    send(desk, counts={})
    send(desk, counts=None)
    assert failing(client, desk) == {"mail": REFUSED}
    send(desk, counts={"sent": 1})
    assert failing(client, desk) == {}


def test_a_refusal_is_of_no_interest_once_nothing_waits(client: FlaskClient, desk: Desk, due: uuid.UUID) -> None:
    send(desk, error=MailServerRefusesUs("535 wrong password"))
    change(desk, due, status=ReminderStatus.CANCELLED)
    assert failing(client, desk) == {}


def test_a_mail_server_that_is_only_away_makes_nobody_look_yet(
    client: FlaskClient, desk: Desk, due: uuid.UUID
) -> None:
    send(desk, error=MailServerAway("connection refused"))
    assert failing(client, desk) == {}


def test_tables_that_are_not_there_yet_are_no_reason_to_say_that_the_database_is_away(
    client: FlaskClient, desk: Desk, due: uuid.UUID
) -> None:
    with desk.database.transaction() as session:
        session.execute(text("ALTER TABLE job_runs RENAME TO elsewhere"))
    try:
        assert failing(client, desk) == {"mail": "not known, because the database cannot tell"}
    finally:
        with desk.database.transaction() as session:
            session.execute(text("ALTER TABLE elsewhere RENAME TO job_runs"))


def test_neither_question_reads_the_table_even_with_a_plan_for_any_values(desk: Desk, clock: Clock) -> None:
    """The plan must be by the partial index, also when PostgreSQL does not look at the parameters."""
    asked: list[tuple[str, object]] = []

    def note(_connection, _cursor, statement: str, parameters: object, _context, _many) -> None:
        if "reminders" in statement:
            asked.append((statement, parameters))

    with desk.database.transaction() as session:
        fill(session)
        event.listen(desk.database.engine, "before_cursor_execute", note)
        longest_wait(session, now=clock())
        count_due(session, now=clock())
        event.remove(desk.database.engine, "before_cursor_execute", note)
        session.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        assert len(asked) == 2
        for number, (statement, parameters) in enumerate(asked):
            plan = generic_plan(session, f"question_{number}", statement, parameters)
            assert "ix_reminders_due" in plan, plan
            assert "Seq Scan" not in plan, plan
        session.rollback()


def fill(session) -> None:
    """Write twenty thousand reminders, most of them due, where a look at the whole table seems cheap."""
    session.execute(
        text(
            "INSERT INTO supporters (id, email, email_hash, created_at)"
            " SELECT gen_random_uuid(), 'x', sha256(n::text::bytea), now() FROM generate_series(1, 20000) n"
        )
    )
    session.execute(
        text(
            "INSERT INTO reminders (id, campaign_id, supporter_id, status, occurrence, months, due_on, due_at,"
            " timezone, currency, lang, asked_at, attempts, lease_number)"
            " SELECT gen_random_uuid(), campaigns.id, supporters.id, 'scheduled', 1, 1, '2026-11-23',"
            " '2026-11-23', 'UTC', 'USD', 'en', '2026-10-23', 0, 0 FROM campaigns, supporters"
        )
    )
    session.execute(text("ANALYZE reminders"))


def generic_plan(session, name: str, statement: str, parameters) -> str:
    """Return how PostgreSQL runs a statement whose parameters it does not know yet."""
    values = list(parameters.values())
    types = ["timestamptz" if isinstance(value, datetime.datetime) else "bigint" for value in values]
    for number, key in enumerate(parameters, 1):
        statement = statement.replace(f"%({key})s", f"${number}")
    connection = session.connection()
    given = ", ".join(f"'{value}'" for value in values)
    prepared = f"{name}({', '.join(types)})" if types else name
    connection.exec_driver_sql(f"PREPARE {prepared} AS {statement}")
    run = f"{name}({given})" if given else name
    return "\n".join(connection.exec_driver_sql(f"EXPLAIN EXECUTE {run}").scalars())
