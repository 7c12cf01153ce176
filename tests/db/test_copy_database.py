"""`mainstay copy-database` copies a filled database from SQLite to PostgreSQL and back, and compares the two."""

import datetime
from pathlib import Path

import pytest
from sqlalchemy import func, insert, inspect, select, text, update

from schemas.enums import ReminderStatus
from service.commands.migrate import migrate_and_seed
from service.container import Container
from service.db.base import new_id
from service.db.clock import utc_now
from service.db.copying import _stored_tables, summarise
from service.db.models import Base
from service.db.models.admin import AuditEntry
from service.db.models.campaign import Campaign, PledgeOption
from service.db.models.customer import CustomerUpdate
from service.db.models.email import DevOutboxEmail, OutgoingEmail, Suppression
from service.db.models.erasure import Erasure
from service.db.models.jobs import Heartbeat, JobRun
from service.db.models.payment import BalanceTransaction, Dispute, FraudWarning, GatewayEvent, Payment, Refund
from service.db.models.pledge import IdempotencyKey, Pledge
from service.db.models.reminder import Reminder
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter
from service.domain.monitoring.job_runs import HEARTBEAT_TIMEOUT
from service.domain.pledges.installation import get_or_create_installation_id
from tests.cli import assert_cli_error, run_cli
from tests.conftest import make_database, settings_for
from tests.db import sample_rows as rows

SUPPORTERS = 2503


@pytest.fixture
def empty_postgres(worker_id: str) -> str:
    return make_database(f"mainstay_empty_{worker_id}")


def fill(container: Container) -> None:
    """Add a row to most tables, and more supporters than one batch holds."""
    with container.database.transaction() as session:
        get_or_create_installation_id(session)
        campaign_id = session.scalars(select(Campaign.id)).one()
        session.execute(insert(Supporter), [rows.supporter(), *map(numbered_supporter, range(SUPPORTERS - 1))])
        session.execute(insert(Pledge).values(rows.pledge(campaign_id, amount_minor=2**40)))
        session.execute(insert(Payment).values(rows.payment()))
        page = "https://paper.example/'\"\\;-- \u00fc\U0001f49a\u2028"
        session.execute(insert(Reminder).values(rows.reminder(campaign_id, page_url=page, reason="")))
        session.execute(
            insert(OutgoingEmail).values(rows.reminder_email(session.scalars(select(Reminder.id)).one()))
        )
        for model, row in (
            (DevOutboxEmail, rows.outbox_email()),
            (IdempotencyKey, rows.idempotency_key()),
            (Suppression, rows.suppression()),
            (JobRun, rows.job_run() | {"counts": {"sent": 3, "a": 1}}),
            (Refund, rows.refund()),
            (Dispute, rows.dispute()),
            (FraudWarning, rows.fraud_warning()),
            (BalanceTransaction, rows.balance_transaction()),
            (GatewayEvent, rows.gateway_event()),
            (Erasure, rows.erasure()),
            (OutgoingEmail, rows.receipt_email()),
            (SignIn, rows.sign_in()),
            (CustomerUpdate, rows.customer_update()),
            (AuditEntry, {"actor": "a", "action": "b", "details": {"\u00fc": [1, None, True]}, "at": rows.NOW}),
        ):
            session.execute(insert(model).values(row))


def numbered_supporter(number: int) -> dict:
    at = rows.NOW + datetime.timedelta(microseconds=number)
    address = f"reader{number}@news.example"
    return rows.supporter(id=new_id(), email=address, email_hash=number.to_bytes(32), created_at=at)


def summaries(container: Container) -> dict:
    with container.database.engine.connect() as connection:
        return {table.name: summarise(connection, table) for table in _stored_tables()}


def copy(source: str, target: str, *options: str):
    return run_cli("copy-database", source, target, *options, DATABASE_URL="")


def test_filled_database_is_copied_to_postgresql_and_back(
    sqlite_url: str, empty_postgres: str, make_container, tmp_path: Path
) -> None:
    source = make_container(settings_for(sqlite_url))
    fill(source)
    before = summaries(source)
    assert sum(summary.rows > 0 for summary in before.values()) >= 22
    result = copy(sqlite_url, empty_postgres)
    assert result.exit_code == 0, result.output
    total = sum(summary.rows for summary in before.values())
    assert f"Copied {total} rows" in result.stdout
    assert f"supporters: {SUPPORTERS:,} of {SUPPORTERS:,}" in result.stderr
    copied = make_container(settings_for(empty_postgres))
    assert summaries(copied) == before
    with source.database.read_only() as old, copied.database.read_only() as new:
        for column in (Reminder.page_url, Supporter.email, Pledge.amount_minor, DevOutboxEmail.message):
            assert sorted(new.scalars(select(column))) == sorted(old.scalars(select(column)))
        stored = text("SELECT email FROM supporters ORDER BY email_hash LIMIT 1")
        assert bytes(new.execute(stored).scalar_one()) == old.execute(stored).scalar_one()
    back = f"sqlite:///{tmp_path / 'back.db'}"
    result = copy(empty_postgres, back)
    assert result.exit_code == 0, result.output
    assert summaries(make_container(settings_for(back))) == before
    # The copy is in use as the original was.
    assert run_cli("migrate", DATABASE_URL=empty_postgres).exit_code == 0
    with copied.database.transaction() as session:
        session.execute(update(Reminder).values(status=ReminderStatus.CANCELLED))


def test_database_without_readers_is_copied(sqlite_url: str, empty_postgres: str, make_container) -> None:
    result = copy(sqlite_url, empty_postgres)
    assert result.exit_code == 0, result.output
    with make_container(settings_for(empty_postgres)).database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(PledgeOption)) > 0


def test_filled_target_is_refused_and_unchanged(sqlite_url: str, container: Container) -> None:
    assert run_cli("migrate", DATABASE_URL=container.settings.database_url).exit_code == 0
    before = summaries(container)
    assert_cli_error(
        copy(sqlite_url, container.settings.database_url), "already has rows in brand_images, campaigns", "empty"
    )
    assert summaries(container) == before


def test_refused_row_leaves_the_target_empty(sqlite_url: str, empty_postgres: str, make_container) -> None:
    source = make_container(settings_for(sqlite_url))
    fill(source)
    with source.database.transaction() as session:
        # SQLite neither checks lengths nor refuses NUL.
        session.execute(text("UPDATE emails SET subject = 'a' || char(0) || 'b'"))
    result = copy(sqlite_url, empty_postgres)
    assert result.exit_code == 1
    assert "a row of emails" in result.stderr
    assert "Traceback" not in result.output
    assert all(
        summary.rows == 0
        for name, summary in summaries(make_container(settings_for(empty_postgres))).items()
        if name != "schema_compatibility"
    )


def test_source_with_a_live_worker_is_refused_unless_told(
    sqlite_url: str, empty_postgres: str, make_container
) -> None:
    source = make_container(settings_for(sqlite_url))
    with source.database.transaction() as session:
        session.execute(insert(Heartbeat).values(worker_id="0" * 32, at=utc_now()))
    assert_cli_error(copy(sqlite_url, empty_postgres), "A worker uses FROM", "stop")
    assert copy(sqlite_url, empty_postgres, "--while-running").exit_code == 0


def test_stopped_worker_is_no_obstacle(sqlite_url: str, empty_postgres: str, make_container) -> None:
    with make_container(settings_for(sqlite_url)).database.transaction() as session:
        at = utc_now() - HEARTBEAT_TIMEOUT - datetime.timedelta(seconds=1)
        session.execute(insert(Heartbeat).values(worker_id="0" * 32, at=at))
    assert copy(sqlite_url, empty_postgres).exit_code == 0


def test_wrong_databases_are_refused(sqlite_url: str, empty_postgres: str, tmp_path: Path) -> None:
    missing = f"sqlite:///{tmp_path / 'missing.db'}"
    assert_cli_error(copy(missing, empty_postgres), "does not exist")
    assert not (tmp_path / "missing.db").exists()
    assert_cli_error(copy(sqlite_url, sqlite_url), "the same database")
    assert_cli_error(copy(empty_postgres, sqlite_url), "run mainstay migrate")
    assert_cli_error(copy("mysql://host/name", sqlite_url), "FROM must start with")
    assert_cli_error(copy(sqlite_url, "nonsense"), "TO must start with")


def test_tables_of_others_in_the_target_are_refused(sqlite_url: str, empty_postgres: str, make_container) -> None:
    target = make_container(settings_for(empty_postgres))
    with target.database.transaction() as session:
        session.execute(text("CREATE TABLE orders (id INTEGER)"))
    assert_cli_error(copy(sqlite_url, empty_postgres), "TO cannot be used", "orders")
    assert inspect(target.database.engine).get_table_names() == ["orders"]


def test_altered_copy_is_noticed(container: Container) -> None:
    fill(container)
    before = summaries(container)
    with container.database.transaction() as session:
        session.execute(text("UPDATE reminders SET months = months + 1"))
    after = summaries(container)
    assert {name for name in before if before[name] != after[name]} == {"reminders"}
    assert after["reminders"].rows == before["reminders"].rows


def test_no_table_has_a_sequence() -> None:
    # A copy would have to set it.
    assert [table.name for table in Base.metadata.sorted_tables if table.autoincrement_column is not None] == []


def test_migrated_empty_target_is_used(sqlite_url: str, empty_postgres: str, make_container) -> None:
    target = make_container(settings_for(empty_postgres, MAINSTAY_ENV="development"))
    migrate_and_seed(target)
    with target.database.transaction() as session:
        session.execute(text("DELETE FROM pledge_options"))
        session.execute(text("DELETE FROM campaigns"))
        session.execute(text("DELETE FROM brand_images"))
    assert copy(sqlite_url, empty_postgres).exit_code == 0
