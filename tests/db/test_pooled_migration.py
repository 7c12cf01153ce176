"""`mainstay migrate` behind a pooler: on its own way to the database, or through the pooler."""

from tests.cli import run_cli
from tests.conftest import make_database
from tests.pgbouncer import PgBouncer


def test_migrate_takes_its_own_way_to_the_database(worker_id: str) -> None:
    database = make_database(f"mainstay_direct_{worker_id}")
    pooled = "postgresql://nobody@127.0.0.1:1/mainstay"
    result = run_cli("migrate", DATABASE_URL=pooled, MIGRATION_DATABASE_URL=database)
    assert result.exit_code == 0, result.output
    assert "The database is up to date." in result.output


def test_migrate_works_through_pgbouncer_too(worker_id: str) -> None:
    with PgBouncer(make_database(f"mainstay_pooled_{worker_id}"), server_connections=1) as pooler:
        for _ in range(2):
            result = run_cli("migrate", DATABASE_URL=pooler.url)
            assert result.exit_code == 0, result.output
