"""The migrations build what the models say, on both databases, from any state and by any number of processes."""

import contextlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, func, inspect, select, text, update
from sqlalchemy.orm import Session

from service.commands.migrate import seed_demo_campaign
from service.container import Container
from service.db.migration import MIGRATION_LOCK, alembic_config, is_up_to_date, migrate
from service.db.models import Base
from service.db.models.campaign import Campaign
from service.domain.campaigns import definitions as campaigns
from tests.conftest import settings_for
from tests.processes import ROOT, environment, wait_until


@pytest.fixture
def bare(empty_url: str, make_container) -> Container:
    return make_container(settings_for(empty_url))


def tables(container: Container) -> set[str]:
    return set(inspect(container.database.engine).get_table_names()) - {"alembic_version"}


def test_an_empty_database_goes_up_and_down_and_up_again(bare: Container) -> None:
    engine = bare.database.engine
    assert not is_up_to_date(engine)
    migrate(engine)
    assert is_up_to_date(engine)
    assert tables(bare) == set(Base.metadata.tables)
    migrate(engine, revision="base")
    assert not is_up_to_date(engine)
    assert tables(bare) == set()
    migrate(engine)
    assert is_up_to_date(engine)
    assert tables(bare) == set(Base.metadata.tables)


def test_every_single_step_can_be_taken_back(bare: Container) -> None:
    engine = bare.database.engine
    for script in reversed(list(ScriptDirectory.from_config(alembic_config()).walk_revisions())):
        migrate(engine, revision=script.revision)
        before = tables(bare)
        migrate(engine, revision="base")
        migrate(engine, revision=script.revision)
        assert tables(bare) == before


def test_migrating_again_changes_nothing(bare: Container) -> None:
    migrate(bare.database.engine)
    migrate(bare.database.engine)
    assert is_up_to_date(bare.database.engine)


def json_default_differs(_context, _standing, column, standing_default, _default, wanted) -> bool | None:
    """Compare as text what PostgreSQL cannot compare; None leaves it to Alembic."""
    if not isinstance(column.type, JSON):
        return None
    return (standing_default or "").removesuffix("::json").strip("'") != (wanted or "").strip("'")


def test_the_models_and_the_migrated_schema_are_equal(bare: Container) -> None:
    migrate(bare.database.engine)
    with bare.database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": json_default_differs}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_the_checks_of_the_models_and_of_the_migrations_are_equal(
    bare: Container, make_container, tmp_path
) -> None:
    # Alembic does not compare CHECK constraints, so the databases that each builds are asked for theirs.
    migrate(bare.database.engine)
    by_migrations = checks(bare)
    migrate(bare.database.engine, revision="base")
    Base.metadata.create_all(bare.database.engine)
    assert by_migrations == checks(bare)
    assert sum(map(len, by_migrations.values())) >= 13


def checks(container: Container) -> dict[str, dict[str, str]]:
    inspector = inspect(container.database.engine)
    return {
        table: {
            check["name"]: " ".join(check["sqltext"].split()) for check in inspector.get_check_constraints(table)
        }
        for table in tables(container)
    }


def test_the_indexes_of_the_models_and_of_the_migrations_are_equal_with_their_predicates(bare: Container) -> None:
    # Alembic compares the columns of an index, but not the rows that it is for.
    migrate(bare.database.engine)
    by_migrations = indexes(bare)
    migrate(bare.database.engine, revision="base")
    Base.metadata.create_all(bare.database.engine)
    assert by_migrations == indexes(bare)
    partial = {name for name, definition in by_migrations.items() if " WHERE " in definition}
    assert partial == PARTIAL_INDEXES


PARTIAL_INDEXES = {
    "ix_gateway_events_open",
    "ix_notifications_due",
    "ix_notifications_leased",
    "ix_pledges_pending_created_at",
    "ix_pledges_reminder_id",
    "ix_pledges_renews_at",
    "ix_reminders_due",
    "ix_reminders_leased",
    "ix_reminders_finished",
    "ix_reminders_awaiting",
}


def indexes(container: Container) -> dict[str, str]:
    """Return each index that has a name of ours as the database itself defines it."""
    asked = {
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()",
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    }
    with container.database.engine.connect() as connection:
        rows = connection.execute(text(asked[container.database.engine.dialect.name])).all()
    return {name: " ".join(definition.split()) for name, definition in rows if name.startswith("ix_")}


def test_every_constraint_has_a_name(bare: Container) -> None:
    migrate(bare.database.engine)
    inspector = inspect(bare.database.engine)
    for table in tables(bare):
        assert inspector.get_pk_constraint(table)["name"] == f"pk_{table}"
        others = (
            *inspector.get_unique_constraints(table),
            *inspector.get_foreign_keys(table),
            *inspector.get_check_constraints(table),
        )
        assert all((found["name"] or "").startswith(("uq_", "fk_", "ck_")) for found in others), table


def test_two_processes_that_migrate_at_once_do_no_harm(bare: Container, empty_url: str) -> None:
    command = [sys.executable, "-m", "service", "migrate"]
    env = environment(empty_url)
    at_once = [
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    for process in at_once:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert is_up_to_date(bare.database.engine)
    with bare.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(Campaign)) == 1


def test_a_second_release_waits_until_the_first_has_migrated(container: Container) -> None:
    engine = container.database.engine
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as first:
            first.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            second = pool.submit(migrate, engine)
            waiting = text(
                "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
                " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
            )
            wait_until(lambda: second.done() or first.scalar(waiting), what="the second to meet the lock")
            assert not second.done()
        second.result(timeout=60)


def test_seeding_leaves_a_campaign_that_came_after_the_look_as_it_is(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(heading="Our own words"))
    # On SQLite none can come in between: there a writer holds the whole database.
    monkeypatch.setattr(campaigns, "has_campaigns", lambda _session: False)
    assert not seed_demo_campaign(container)
    with container.database.read_only() as session:
        assert session.scalars(select(Campaign.heading)).all() == ["Our own words"]


def test_two_processes_that_seed_at_once_do_no_harm(bare: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(bare.database.engine)
    both_have_looked = threading.Barrier(2, timeout=60)
    look = campaigns.has_campaigns

    def look_at_the_same_time(session: Session) -> bool:
        found = look(session)
        # On SQLite the second cannot look before the first has written, so there the wait ends by its time.
        with contextlib.suppress(threading.BrokenBarrierError):
            both_have_looked.wait(timeout=0.5)
        return found

    monkeypatch.setattr(campaigns, "has_campaigns", look_at_the_same_time)
    with ThreadPoolExecutor(2) as pool:
        seeding = [pool.submit(seed_demo_campaign, bare) for _ in range(2)]
    assert sorted(done.result() for done in seeding) == [False, True]
    with bare.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(Campaign)) == 1


def test_a_failed_migration_leaves_the_schema_as_it_was(bare: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = bare.database.engine
    migrate(engine, revision="0001")
    with engine.begin() as connection:
        # The third migration will find this table in its way, after the second has been applied.
        connection.execute(text("CREATE TABLE pledges (id INTEGER PRIMARY KEY)"))
    with pytest.raises(Exception, match="pledges"):
        migrate(engine)
    assert tables(bare) == {"campaigns", "support_choices", "pledges"}


def test_the_schema_of_a_newer_release_does_not_stop_the_old_one_from_serving(bare: Container) -> None:
    engine = bare.database.engine
    migrate(engine)
    with bare.database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert is_up_to_date(engine)
