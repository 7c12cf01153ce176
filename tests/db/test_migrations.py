"""Migrations build the schema of the models on both databases, can be reverted, and may run concurrently."""

import contextlib
import datetime
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Engine, func, insert, inspect, select, text, update
from sqlalchemy.orm import Session

from service.commands.migrate import migrate_and_seed, seed_demo_campaign
from service.container import Container
from service.db.base import new_id
from service.db.migration import MIGRATION_LOCK, migrate
from service.db.models import Base
from service.db.models.campaign import Campaign
from service.db.models.payment import GatewayEvent
from service.db.models.pledge import Pledge
from service.db.schema import alembic_config, is_up_to_date
from service.domain.campaigns import definitions as campaigns
from tests.conftest import settings_for
from tests.db.sample_rows import pledge
from tests.processes import ROOT, environment, wait_until


@pytest.fixture
def empty_container(empty_url: str, make_container) -> Container:
    return make_container(settings_for(empty_url))


def tables(container: Container) -> set[str]:
    return set(inspect(container.database.engine).get_table_names()) - {"alembic_version"}


def test_empty_database_upgrades_downgrades_and_upgrades_again(empty_container: Container) -> None:
    engine = empty_container.database.engine
    assert not is_up_to_date(engine)
    migrate(engine)
    assert is_up_to_date(engine)
    assert tables(empty_container) == set(Base.metadata.tables)
    migrate(engine, revision="base")
    assert not is_up_to_date(engine)
    assert tables(empty_container) == set()
    migrate(engine)
    assert is_up_to_date(engine)
    assert tables(empty_container) == set(Base.metadata.tables)


def test_each_migration_can_be_reverted(empty_container: Container) -> None:
    engine = empty_container.database.engine
    migrate(engine)
    for script in ScriptDirectory.from_config(alembic_config()).walk_revisions():
        upgraded = tables(empty_container)
        downgrade_by_one(engine)
        reverted = tables(empty_container)
        migrate(engine, revision=script.revision)
        assert tables(empty_container) == upgraded
        downgrade_by_one(engine)
        assert tables(empty_container) == reverted
    assert tables(empty_container) == set()


def downgrade_by_one(engine: Engine) -> None:
    config = alembic_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "-1")


def test_migrating_twice_is_idempotent(empty_container: Container) -> None:
    migrate(empty_container.database.engine)
    migrate(empty_container.database.engine)
    assert is_up_to_date(empty_container.database.engine)


def json_default_differs(_context, _column, column, database_default, _default, model_default) -> bool | None:
    """Compare JSON defaults as text, because PostgreSQL cannot compare JSON; None leaves a column to Alembic."""
    if not isinstance(column.type, JSON):
        return None
    return (database_default or "").removesuffix("::json").strip("'") != (model_default or "").strip("'")


def test_migrated_schema_equals_models(empty_container: Container) -> None:
    migrate(empty_container.database.engine)
    with empty_container.database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": json_default_differs}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_migrated_check_constraints_equal_models(empty_container: Container, make_container, tmp_path) -> None:
    # Alembic does not compare CHECK constraints, so this compares those that each of the two creates.
    migrate(empty_container.database.engine)
    by_migrations = checks(empty_container)
    migrate(empty_container.database.engine, revision="base")
    Base.metadata.create_all(empty_container.database.engine)
    assert by_migrations == checks(empty_container)
    assert sum(map(len, by_migrations.values())) >= 13


def checks(container: Container) -> dict[str, dict[str, str]]:
    inspector = inspect(container.database.engine)
    return {
        table: {
            check["name"]: " ".join(check["sqltext"].split()) for check in inspector.get_check_constraints(table)
        }
        for table in tables(container)
    }


def test_migrated_indexes_and_predicates_equal_models(empty_container: Container) -> None:
    # Alembic compares the columns of an index, but not its predicate.
    migrate(empty_container.database.engine)
    by_migrations = indexes(empty_container)
    migrate(empty_container.database.engine, revision="base")
    Base.metadata.create_all(empty_container.database.engine)
    assert by_migrations == indexes(empty_container)
    partial = {name for name, definition in by_migrations.items() if " WHERE " in definition}
    assert partial == PARTIAL_INDEXES


PARTIAL_INDEXES = {
    "ix_customer_updates_pending",
    "ix_erased_customers_next_attempt_at",
    "ix_erasures_requested",
    "ix_gateway_events_open",
    "ix_gateway_events_parked",
    "ix_gateway_events_unhashed",
    "ix_emails_due",
    "ix_emails_erasure_request_id",
    "ix_emails_email_change_id",
    "ix_emails_failed",
    "ix_emails_finished",
    "ix_emails_held",
    "ix_emails_leased",
    "ix_emails_payment_id",
    "ix_emails_pledge_id",
    "ix_emails_sign_in_id",
    "ix_emails_supporter_id",
    "ix_pledges_invoice_retry_requested_at",
    "ix_pledges_pending_created_at",
    "ix_pledges_reminder_id",
    "ix_pledges_renews_at",
    "ix_reminders_due",
    "ix_reminders_finished",
    "ix_reminders_awaiting",
    "ix_supporters_unfolded",
}


def indexes(container: Container) -> dict[str, str]:
    """Return the definition in the database of each index that follows the naming convention."""
    queries = {
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()",
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    }
    with container.database.engine.connect() as connection:
        rows = connection.execute(text(queries[container.database.engine.dialect.name])).all()
    return {name: " ".join(definition.split()) for name, definition in rows if name.startswith("ix_")}


def test_no_check_is_left_unvalidated(empty_container: Container) -> None:
    migrate(empty_container.database.engine)
    if empty_container.database.engine.dialect.name == "sqlite":
        # SQLite knows no check that is not validated.
        return
    with empty_container.database.engine.connect() as connection:
        unvalidated = connection.execute(text("SELECT conname FROM pg_constraint WHERE NOT convalidated")).all()
        assert unvalidated == []
        assert connection.scalar(text("SELECT count(*) FROM pg_constraint WHERE contype = 'c'")) > 10


def test_stored_reason_for_parking_is_reworded_and_back(empty_container: Container) -> None:
    engine = empty_container.database.engine
    migrate(engine, revision="0031")
    reasons = {"evt_1": "Its payment is not in the books.", "evt_2": "Its customer is not that of any pledge."}
    now = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
    with empty_container.database.transaction() as session:
        for reference, reason in reasons.items():
            event = dict.fromkeys(("occurred_at", "received_at", "next_attempt_at"), now)
            names = {"gateway": "stripe", "kind": "refund.created", "source": "webhook", "status": "parked"}
            row = event | names | {"id": new_id(), "reference": reference, "reason": reason, "attempts": 12}
            session.execute(insert(GatewayEvent), row)
    new = reasons | {"evt_1": "Its payment is not recorded here."}
    steps = [lambda: migrate(engine, revision="0032"), lambda: downgrade_by_one(engine)]
    for step, expected in zip([*steps, steps[0]], [new, reasons, new], strict=True):
        step()
        with engine.connect() as connection:
            stored = dict(connection.execute(text("SELECT reference, reason FROM gateway_events")).all())
        assert stored == expected


def test_every_constraint_is_named(empty_container: Container) -> None:
    migrate(empty_container.database.engine)
    inspector = inspect(empty_container.database.engine)
    for table in tables(empty_container):
        assert inspector.get_pk_constraint(table)["name"] == f"pk_{table}"
        others = (
            *inspector.get_unique_constraints(table),
            *inspector.get_foreign_keys(table),
            *inspector.get_check_constraints(table),
        )
        assert all((constraint["name"] or "").startswith(("uq_", "fk_", "ck_")) for constraint in others), table


def test_migrated_key_names_equal_models(empty_container: Container) -> None:
    # Alembic does not compare the names of primary and foreign keys.
    migrate(empty_container.database.engine)
    by_migrations = key_names(empty_container)
    migrate(empty_container.database.engine, revision="base")
    Base.metadata.create_all(empty_container.database.engine)
    assert by_migrations == key_names(empty_container)


def key_names(container: Container) -> dict[str, set[str]]:
    """Return the names of the primary, foreign and unique keys of each table."""
    inspector = inspect(container.database.engine)
    return {
        table: {
            key["name"]
            for key in (
                inspector.get_pk_constraint(table),
                *inspector.get_foreign_keys(table),
                *inspector.get_unique_constraints(table),
            )
        }
        for table in tables(container)
    }


def test_concurrent_migrate_commands_succeed(empty_container: Container, empty_url: str) -> None:
    command = [sys.executable, "-m", "service", "migrate"]
    env = environment(empty_url)
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    assert is_up_to_date(empty_container.database.engine)
    with empty_container.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(Campaign)) == 1


def test_migration_waits_for_the_advisory_lock(container: Container) -> None:
    engine = container.database.engine
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as first:
            first.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            second = pool.submit(migrate, engine)
            waiting = text(
                "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
                " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
            )
            wait_until(
                lambda: second.done() or first.scalar(waiting), what="the second migration to wait for the lock"
            )
            assert not second.done()
        second.result(timeout=60)


def test_seeding_keeps_campaign_created_after_its_check(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(heading="Our own words"))
    # This skips the check, as if the campaign had been created after it.
    monkeypatch.setattr(campaigns, "has_campaigns", lambda _session: False)
    assert not seed_demo_campaign(container)
    with container.database.read_only() as session:
        assert session.scalars(select(Campaign.heading)).all() == ["Our own words"]


def test_concurrent_seeding_creates_one_campaign(
    empty_container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(empty_container.database.engine)
    both_checked = threading.Barrier(2, timeout=60)
    has_campaigns = campaigns.has_campaigns

    def check_concurrently(session: Session) -> bool:
        found = has_campaigns(session)
        # On SQLite the second cannot check before the first has committed, so there the wait times out.
        with contextlib.suppress(threading.BrokenBarrierError):
            both_checked.wait(timeout=0.5)
        return found

    monkeypatch.setattr(campaigns, "has_campaigns", check_concurrently)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(seed_demo_campaign, empty_container) for _ in range(2)]
    assert sorted(future.result() for future in futures) == [False, True]
    with empty_container.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(Campaign)) == 1


def test_failed_migration_rolls_back(empty_container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = empty_container.database.engine
    migrate(engine, revision="0001")
    with engine.begin() as connection:
        # This table makes the third migration fail, after the second has been applied.
        connection.execute(text("CREATE TABLE pledges (id INTEGER PRIMARY KEY)"))
    with pytest.raises(Exception, match="pledges"):
        migrate(engine)
    assert tables(empty_container) == {"campaigns", "support_choices", "pledges"}


def test_schema_of_newer_release_counts_as_up_to_date(empty_container: Container) -> None:
    engine = empty_container.database.engine
    migrate(engine)
    with empty_container.database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert is_up_to_date(engine)


def test_reverted_switch_leaves_no_amount_of_the_other_frequency(empty_container: Container) -> None:
    """The release before would charge what was meant for a year each month."""
    migrate_and_seed(empty_container)
    engine = empty_container.database.engine
    with empty_container.database.transaction() as session:
        campaign_id = session.scalars(select(Campaign.id)).one()
        switched = pledge(campaign_id, pending_amount_minor=6000, pending_frequency="annual")
        session.execute(insert(Pledge).values(switched))
        changes = {"id": new_id(), "gateway_reference": "sandbox_2", "subscription_reference": "sub_2"}
        session.execute(insert(Pledge).values(pledge(campaign_id, pending_amount_minor=900, **changes)))
    while "pending_frequency" in {column["name"] for column in inspect(engine).get_columns("pledges")}:
        downgrade_by_one(engine)
    with engine.connect() as connection:
        amounts = connection.execute(text("SELECT pending_amount_minor FROM pledges ORDER BY gateway_reference"))
        assert amounts.scalars().all() == [None, 900]
