"""/healthz, /readyz and access to /metrics."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.domain.monitoring.summary import record_heartbeat
from service.settings import Settings
from tests.api.client import assert_problem, auth_headers, pay_pledge, post_pledge, post_reminder
from tests.clock import FakeClock
from tests.conftest import LOCAL_URL, settings_for

UNREACHABLE_URL = "postgresql://nobody@127.0.0.1:1/gone?connect_timeout=2"
REMOTE = {"REMOTE_ADDR": "203.0.113.9"}


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    return settings_for(migrated_database, PUBLIC_URL=LOCAL_URL)


def beat(container: Container) -> None:
    """Record a worker heartbeat."""
    with container.database.transaction() as session:
        record_heartbeat(session, worker=container.worker_id, now=container.clock())


def test_healthz_needs_no_database() -> None:
    response = create_app(build_container(settings_for(UNREACHABLE_URL))).test_client().get("/healthz")
    assert (response.status_code, response.json) == (200, {"status": "ok"})


def test_readyz_is_ok_with_database_schema_and_worker(client: FlaskClient, container: Container) -> None:
    beat(container)
    response = client.get("/readyz")
    assert response.status_code == 200
    checks = ("database", "disk", "payments", "migrations", "keys", "worker", "reminders", "emails", "mail")
    assert response.json == {"status": "ok", "checks": dict.fromkeys(checks, "ok")}


def failing(client: FlaskClient) -> dict[str, str]:
    """Return the failing checks."""
    response = client.get("/readyz")
    problem = assert_problem(response, 503, "not_ready")
    return {name: response for name, response in problem["checks"].items() if response != "ok"}


def test_readyz_reports_unavailable_database() -> None:
    client = create_app(build_container(settings_for(UNREACHABLE_URL))).test_client()
    checks = failing(client)
    assert checks.keys() == {"database", "migrations", "keys", "worker", "reminders", "emails", "mail"}
    assert "127.0.0.1" not in str(checks)


def test_readyz_reports_missing_worker(client: FlaskClient) -> None:
    assert failing(client).keys() == {"worker"}


def test_readyz_reports_expired_worker_heartbeat(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    beat(container)
    clock.advance(seconds=89)
    assert client.get("/readyz").status_code == 200
    clock.advance(seconds=2)
    checks = failing(client)
    assert checks.keys() == {"worker"}
    assert "91 seconds" in checks["worker"]
    beat(container)
    assert client.get("/readyz").status_code == 200


def test_readyz_reports_missing_migrations(client: FlaskClient, container: Container) -> None:
    beat(container)
    with container.database.transaction() as session:
        head = session.scalar(text("SELECT version_num FROM alembic_version"))
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    try:
        checks = failing(client)
    finally:
        with container.database.transaction() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head})
    assert checks.keys() == {"migrations"}
    assert "mainstay migrate" in checks["migrations"]


def test_metrics_are_prometheus_text(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    beat(container)
    pay_pledge(container, post_pledge(client).json["id"])
    post_reminder(client)
    clock.advance(seconds=30)
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.content_type.startswith("text/plain; version=0.0.4")
    lines = set(response.text.splitlines())
    assert {
        'mainstay_pledges{status="active"} 1.0',
        'mainstay_pledges{status="pending"} 0.0',
        'mainstay_reminders{status="scheduled"} 1.0',
        "mainstay_reminders_due 0.0",
        "mainstay_worker_heartbeat_age_seconds 30.0",
    } <= lines
    assert "reader@" not in response.text


def test_read_token_gives_remote_access_to_metrics(client: FlaskClient, container: Container) -> None:
    assert client.get("/metrics", headers=auth_headers(container, "read"), environ_base=REMOTE).status_code == 200
    refused = client.get("/metrics", headers=auth_headers(container, "export", "manage"), environ_base=REMOTE)
    assert_problem(refused, 403, "scope_missing")
