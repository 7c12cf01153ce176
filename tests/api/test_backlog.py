"""/readyz reports a reminder backlog and a misconfigured mail server, with cheap queries."""

import datetime
import threading
import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, text, update

from jobs.job_runs import JobRunRecorder
from jobs.schedule import Job
from jobs.worker import run_job
from schemas.enums import EmailStatus, ReminderStatus
from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.domain.email.queue import ClaimResult, claim_due_emails, count_due, oldest_due_age
from service.domain.monitoring.restore_guard import HeldFilter, release_held, start_guard
from service.domain.monitoring.summary import record_heartbeat
from service.domain.ports import GatewayUnavailable, ServerMisconfigured, ServerUnavailable
from service.domain.reminders.queue import count_due_reminders, enqueue_due_reminders, oldest_due_reminder_age
from tests.api.client import assert_problem
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.db.factories import create_reminder
from tests.threads import RUNNING

REFUSED = "the mail server refuses us; check MAIL_URL"


@pytest.fixture
def due(container: Container, clock: FakeClock) -> uuid.UUID:
    """Return the id of a reminder that is due at this instant."""
    reminder_id = create_reminder(container, "reader@news.example")
    change(container, reminder_id, due_at=clock())
    return reminder_id


@pytest.fixture
def due_email(container: Container, due: uuid.UUID) -> None:
    """Put the email of the due reminder into the outbox."""
    with container.database.transaction() as session:
        enqueue_due_reminders(session, now=container.clock(), respect_sending_hours=False)


def change(container: Container, reminder_id: uuid.UUID, **values: object) -> None:
    with container.database.transaction() as session:
        session.execute(update(Reminder).where(Reminder.id == reminder_id).values(**values))


def change_email(container: Container, **values: object) -> None:
    with container.database.transaction() as session:
        session.execute(update(OutgoingEmail).values(**values))


def due_reminders(container: Container) -> int:
    with container.database.read_only() as session:
        return count_due_reminders(session, now=container.clock())


def failing(client: FlaskClient, container: Container) -> dict[str, str]:
    """Return the failing checks while a worker is alive."""
    with container.database.transaction() as session:
        record_heartbeat(session, worker=container.worker_id, now=container.clock())
    response = client.get("/readyz")
    if response.status_code == 200:
        return {}
    checks = assert_problem(response, 503, "not_ready")["checks"]
    return {name: response for name, response in checks.items() if response != "ok"}


def send(container: Container, *, counts: dict[str, int] | None = None, error: Exception | None = None) -> None:
    """Record a finished run of the sending job."""

    def run(_container: Container, _stop: threading.Event) -> dict[str, int] | None:
        if error:
            raise error
        return counts

    run_job(Job("send_emails", run, 5), container, JobRunRecorder(container), RUNNING)


def test_readyz_reports_reminder_backlog_over_an_hour(
    client: FlaskClient, container: Container, clock: FakeClock, due: uuid.UUID
) -> None:
    clock.advance(hours=1)
    assert failing(client, container) == {}
    clock.advance(minutes=1)
    assert failing(client, container) == {
        "reminders": "the oldest due reminder has waited 61 minutes; is a worker sending? see mainstay jobs"
    }
    change(container, due, status=ReminderStatus.SENT)
    assert failing(client, container) == {}


def test_backlog_ignores_future_and_finished_reminders(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    ended, newer, oldest, ahead = (
        create_reminder(container, f"reader-{number}@news.example") for number in range(4)
    )
    change(container, ended, due_at=clock() - datetime.timedelta(days=9), status=ReminderStatus.CANCELLED)
    change(container, newer, due_at=clock() - datetime.timedelta(minutes=2))
    change(container, oldest, due_at=clock() - datetime.timedelta(minutes=90))
    change(container, ahead, due_at=clock() + datetime.timedelta(seconds=1))
    assert "waited 90 minutes" in failing(client, container)["reminders"]
    assert due_reminders(container) == 2
    with container.database.read_only() as session:
        assert count_due_reminders(session, now=clock(), most=1) == 1


def test_backlog_includes_reminders_whose_emails_are_in_the_outbox(
    client: FlaskClient, container: Container, clock: FakeClock, due_email: None
) -> None:
    clock.advance(minutes=61)
    waited = "has waited 61 minutes; is a worker sending? see mainstay jobs"
    assert failing(client, container) == {
        "reminders": f"the oldest due reminder {waited}",
        "emails": f"the oldest due email {waited}",
    }
    assert due_reminders(container) == 1
    # It counts again once it waits for its next attempt, and not while a worker has it.
    change_email(container, status=EmailStatus.SENDING)
    assert (failing(client, container), due_reminders(container)) == ({}, 0)
    change_email(container, status=EmailStatus.SCHEDULED, due_at=clock() + datetime.timedelta(seconds=1))
    assert (failing(client, container), due_reminders(container)) == ({}, 0)
    change_email(container, due_at=clock())
    assert (failing(client, container), due_reminders(container)) == ({}, 1)


def test_readyz_reports_misconfigured_mail_server_until_an_email_is_accepted(
    client: FlaskClient, container: Container, clock: FakeClock, due_email: None
) -> None:
    assert failing(client, container) == {}
    send(container, error=ServerMisconfigured("535 wrong password"))
    assert failing(client, container) == {"mail": REFUSED}
    clock.advance(seconds=5)
    # While the circuit breaker is open, runs find nothing to do; that does not clear the error.
    send(container, counts={})
    send(container, counts=None)
    assert failing(client, container) == {"mail": REFUSED}
    send(container, counts={"sent": 1})
    assert failing(client, container) == {}


def test_readyz_ignores_mail_server_error_when_nothing_is_due(
    client: FlaskClient, container: Container, due_email: None
) -> None:
    send(container, error=ServerMisconfigured("535 wrong password"))
    change_email(container, status=EmailStatus.CANCELLED)
    assert failing(client, container) == {}


def test_readyz_ignores_unavailable_mail_server(
    client: FlaskClient, container: Container, due_email: None
) -> None:
    send(container, error=ServerUnavailable("connection refused"))
    assert failing(client, container) == {}


def test_readyz_distinguishes_missing_tables_from_missing_database(
    client: FlaskClient, container: Container, due_email: None
) -> None:
    with container.database.transaction() as session:
        session.execute(text("ALTER TABLE job_runs RENAME TO elsewhere"))
    try:
        assert failing(client, container) == {"mail": "unknown (database unavailable)"}
    finally:
        with container.database.transaction() as session:
            session.execute(text("ALTER TABLE elsewhere RENAME TO job_runs"))


def test_backlog_queries_use_index_with_generic_plan(container: Container, clock: FakeClock) -> None:
    """The queries must use the partial index, also with a generic plan."""
    queries: list[tuple[str, object]] = []

    def record_query(_connection, _cursor, statement: str, parameters: object, _context, _many) -> None:
        if "FROM reminders" in statement or "FROM emails" in statement:
            queries.append((statement, parameters))

    with container.database.transaction() as session:
        fill(session)
        event.listen(container.database.engine, "before_cursor_execute", record_query)
        oldest_due_reminder_age(session, now=clock())
        count_due_reminders(session, now=clock())
        oldest_due_age(session, now=clock())
        count_due(session, now=clock())
        event.remove(container.database.engine, "before_cursor_execute", record_query)
        session.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        # Of emails, the oldest is found with one query for each priority.
        assert len(queries) == 9
        for number, (statement, parameters) in enumerate(queries):
            plan = generic_plan(session, f"question_{number}", statement, parameters)
            index = "ix_emails_due" if "emails" in statement else "ix_reminders_due"
            assert index in plan, (statement, plan)
            assert "Seq Scan" not in plan, (statement, plan)
        session.rollback()


def test_what_is_held_after_a_restore_is_read_only_by_what_decides_on_it(
    container: Container, clock: FakeClock
) -> None:
    """A restored backup may hold a million emails, for weeks: no claim reads them, and a batch only its own."""
    plans: list[str] = []

    def explain(connection, _cursor, statement: str, parameters: object, _context, _many) -> None:
        if statement.startswith("SELECT emails.id"):
            query = f"EXPLAIN (ANALYZE, TIMING OFF) {statement}"
            rows = connection.connection.dbapi_connection.execute(query, parameters).fetchall()
            plans.append("\n".join(line for (line,) in rows))

    with container.database.transaction() as session:
        fill(session)
        session.execute(update(OutgoingEmail).values(held_at=clock()))
        session.execute(text("ANALYZE emails"))
        event.listen(container.database.engine, "before_cursor_execute", explain)
        try:
            assert claim_due_emails(
                session,
                worker=container.worker_id,
                now=clock(),
                limit=100,
                lease=container.lease_duration,
                respect_sending_hours=False,
            ) == ClaimResult([], 0)
            assert len(plans) == 3
            assert release_held(session, HeldFilter(), limit=100) == 100
        finally:
            event.remove(container.database.engine, "before_cursor_execute", explain)
        session.rollback()
    assert len(plans) == 4
    for plan in plans:
        assert "Rows Removed by Filter" not in plan
        assert "Sort" not in plan


def test_guard_after_a_restore_reads_what_is_due_in_few_passes(container: Container, clock: FakeClock) -> None:
    """Each pass goes over the entries of those before it in the index, because all are in one transaction."""
    passes: list[str] = []

    def count(_connection, _cursor, statement: str, *_: object) -> None:
        if "FROM reminders" in statement and "FOR UPDATE" in statement:
            passes.append(statement)

    with container.database.transaction() as session:
        fill(session)
        session.execute(text("DELETE FROM emails"))
        session.execute(text("DELETE FROM reminders WHERE id NOT IN (SELECT id FROM reminders LIMIT 1500)"))
        event.listen(container.database.engine, "before_cursor_execute", count)
        try:
            assert start_guard(session, sent_before=clock(), now=clock()) == 1500
        finally:
            event.remove(container.database.engine, "before_cursor_execute", count)
        session.rollback()
    assert len(passes) == 2


def fill(session) -> None:
    """Insert twenty thousand reminders and as many emails, most of them due, so that a scan seems cheap."""
    session.execute(
        text(
            "INSERT INTO supporters (id, email, email_hash, created_at)"
            " SELECT gen_random_uuid(), 'x', sha256(n::text::bytea), now() FROM generate_series(1, 20000) n"
        )
    )
    session.execute(
        text(
            "INSERT INTO reminders (id, campaign_id, supporter_id, status, occurrence, months, due_on, due_at,"
            " timezone, currency, lang, asked_at)"
            " SELECT gen_random_uuid(), campaigns.id, supporters.id, 'scheduled', 1, 1, '2026-11-23',"
            " '2026-11-23', 'UTC', 'USD', 'en', '2026-10-23' FROM campaigns, supporters"
        )
    )
    session.execute(
        text(
            "INSERT INTO emails (id, kind, dedup_key, priority, reminder_id, occurrence, lang, status, due_at,"
            " created_at, lease_number, attempts) SELECT gen_random_uuid(), 'reminder', id::text, 3, id, 1,"
            " 'en', 'scheduled', '2026-11-23', '2026-11-23', 0, 0 FROM reminders"
        )
    )
    session.execute(text("ANALYZE reminders, emails"))


def generic_plan(session, name: str, statement: str, parameters) -> str:
    """Return PostgreSQL's generic plan for a statement."""
    values = list(parameters.values())
    names = {datetime.datetime: "timestamptz", str: "text", int: "bigint"}
    types = [next(name for kind, name in names.items() if isinstance(value, kind)) for value in values]
    for number, key in enumerate(parameters, 1):
        statement = statement.replace(f"%({key})s", f"${number}")
    connection = session.connection()
    given = ", ".join(f"'{value}'" for value in values)
    prepared = f"{name}({', '.join(types)})" if types else name
    connection.exec_driver_sql(f"PREPARE {prepared} AS {statement}")
    run = f"{name}({given})" if given else name
    return "\n".join(connection.exec_driver_sql(f"EXPLAIN EXECUTE {run}").scalars())


def test_readyz_names_a_mail_server_that_does_not_answer_and_stays_ready(
    client: FlaskClient, container: Container, clock: FakeClock, due_email: None
) -> None:
    send(container, error=ServerUnavailable("timed out"))
    assert failing(client, container) == {}
    attention = {"mail": "the mail server does not answer; emails wait until it does"}
    assert client.get("/readyz").json["attention"] == attention
    clock.advance(seconds=5)
    send(container, counts={"sent": 1})
    assert "attention" not in client.get("/readyz").json


def test_readyz_names_a_payment_gateway_that_does_not_answer(container: Container) -> None:
    stripe = {"STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_WEBHOOK_SECRET": "whsec_x", "GATEWAY": "stripe"}
    settings = settings_for(container.settings.database_url, STRIPE_API_BASE="http://127.0.0.1:1", **stripe)
    at_stripe = build_container(settings)
    client = create_app(at_stripe).test_client()
    assert "payments" not in client.get("/readyz").json.get("attention", {})
    with pytest.raises(GatewayUnavailable):
        at_stripe.gateway.cancel_subscription("sub_1")
    assert client.get("/readyz").json["attention"]["payments"].startswith("Stripe does not answer")
    at_stripe.database.engine.dispose()
