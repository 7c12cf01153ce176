"""Migration 0019 on a database that has refunds of every status, down to the release before and up again."""

import datetime

import pytest
from alembic import command
from sqlalchemy import Connection, text

from schemas.enums import RefundStatus
from service.container import Container
from service.db.base import new_id
from service.db.migration import _without_foreign_keys, migrate
from service.db.schema import alembic_config
from tests.conftest import settings_for

BEFORE, AFTER = "0018", "0019"
# The release before knows three statuses. It counted a pending refund as made.
STATUS_BEFORE = {
    RefundStatus.REQUESTED: "requested",
    RefundStatus.WITHDRAWN: "failed",
    RefundStatus.PENDING: "succeeded",
    RefundStatus.SUCCEEDED: "succeeded",
    RefundStatus.CANCELLED: "failed",
    RefundStatus.FAILED: "failed",
}
INSERT = text(
    "INSERT INTO refunds (id, payment_id, status, amount_minor, currency, gateway_reference, created_at)"
    " VALUES (:id, :id, :status, 200, 'USD', :reference, :created_at)"
)


@pytest.fixture
def container(empty_url: str, make_container) -> Container:
    """Return a container on a database at this migration."""
    container = make_container(settings_for(empty_url))
    migrate(container.database.engine, revision=AFTER)
    return container


def insert_refund(connection: Connection, status: str) -> None:
    refund_id = new_id()
    is_postgresql = connection.dialect.name == "postgresql"
    created_at = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
    values = {"id": refund_id if is_postgresql else refund_id.hex, "status": status, "reference": status}
    connection.execute(INSERT, values | {"created_at": created_at if is_postgresql else "2026-11-23 09:30:00"})


def statuses(container: Container) -> dict[str, str]:
    with container.database.engine.connect() as connection:
        return dict(connection.execute(text("SELECT gateway_reference, status FROM refunds")).all())


def test_refunds_of_every_status_migrate_down_and_up(container: Container) -> None:
    engine = container.database.engine
    with engine.connect() as connection, _without_foreign_keys(connection), connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE refunds DROP CONSTRAINT fk_refunds_payment_id"))
        for status in RefundStatus:
            insert_refund(connection, status)
        connection.execute(text("INSERT INTO reconciliations VALUES ('stripe', '2026-11-23 09:30:00')"))
    with engine.connect() as connection, _without_foreign_keys(connection), connection.begin():
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, BEFORE)
    assert statuses(container) == {status.value: before for status, before in STATUS_BEFORE.items()}
    migrate(engine, revision=AFTER)
    assert statuses(container) == {status.value: before for status, before in STATUS_BEFORE.items()}
    with engine.connect() as connection:
        # The next reconciliation looks for refunds that failed or were cancelled before.
        assert connection.execute(text("SELECT count(*) FROM reconciliations")).scalar() == 0
