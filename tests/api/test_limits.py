"""Rate limits and database outages: errors with Retry-After."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.settings import Settings
from tests.api.client import PLEDGE, REMINDER, assert_problem, count, post_pledge, post_reminder
from tests.clock import FakeClock
from tests.conftest import settings_for

UNREACHABLE_URL = "postgresql://nobody@127.0.0.1:1/gone?connect_timeout=2"


class TestAtThreeAMinute:
    @pytest.fixture
    def settings(self, migrated_database: str) -> Settings:
        return settings_for(migrated_database, RATE_LIMIT="3/minute")

    def test_request_over_rate_limit_gets_retry_after(self, client: FlaskClient, container: Container) -> None:
        for ask, table in ((post_pledge, Pledge), (post_reminder, Reminder)):
            assert [ask(client).status_code for _ in range(3)] == [201] * 3
            stored = count(container, table)
            response = ask(client, origin="https://paper.example")
            assert_problem(response, 429, "too_many_requests")
            # The weight of a full window falls during the next one, so the wait may exceed one window.
            assert 1 <= int(response.headers["Retry-After"]) <= 120
            assert response.headers["Access-Control-Allow-Origin"] in ("*", "https://paper.example")
            assert count(container, table) == stored

    def test_reading_and_cancelling_are_not_rate_limited(self, client: FlaskClient) -> None:
        assert {client.get("/v1/campaigns/default").status_code for _ in range(9)} == {200}
        assert {client.post("/v1/reminders/x/cancel").status_code for _ in range(9)} == {404}
        assert {client.get("/healthz").status_code for _ in range(9)} == {200}

    def test_rate_limit_counts_per_client(self, client: FlaskClient) -> None:
        for _ in range(4):
            post_reminder(client)
        other = client.post("/v1/reminders", json=REMINDER, environ_base={"REMOTE_ADDR": "203.0.113.9"})
        assert other.status_code == 201

    def test_untrusted_forwarded_header_does_not_change_client(self, client: FlaskClient) -> None:
        responses = [
            client.post("/v1/reminders", json=REMINDER, headers={"X-Forwarded-For": f"203.0.113.{number}"})
            for number in range(4)
        ]
        assert [response.status_code for response in responses] == [201, 201, 201, 429]


def test_trusted_proxy_header_identifies_client(migrated_database: str, container: Container) -> None:
    settings = settings_for(migrated_database, RATE_LIMIT="1/minute", TRUSTED_PROXIES="1")
    client = create_app(build_container(settings)).test_client()

    def ask(forwarded: str) -> int:
        return client.post("/v1/reminders", json=REMINDER, headers={"X-Forwarded-For": forwarded}).status_code

    assert [ask("203.0.113.1"), ask("203.0.113.2")] == [201, 201]
    # Only the address that the trusted proxy appended counts, not what the client sent.
    assert [ask("198.51.100.7, 203.0.113.1"), ask("198.51.100.8, 203.0.113.2")] == [429, 429]


@pytest.fixture(scope="module")
def client_without_database() -> FlaskClient:
    """Return a client of an application whose database is unreachable."""
    return create_app(build_container(settings_for(UNREACHABLE_URL))).test_client()


ROUTES = [
    ("GET", "/v1/campaigns/default"),
    ("POST", "/v1/pledges"),
    ("GET", "/v1/pledges/00000000-0000-0000-0000-000000000000"),
    ("POST", "/v1/reminders"),
    ("GET", "/v1/admin/summary"),
    ("GET", "/v1/admin/pledges"),
    ("GET", "/v1/admin/pledges/export"),
    ("POST", "/v1/admin/erasures"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("origin", [None, "https://paper.example"])
def test_database_outage_makes_every_route_unavailable(
    client_without_database: FlaskClient, method: str, path: str, origin: str | None
) -> None:
    headers = {"Authorization": "Bearer any", "Idempotency-Key": "12345678"} | (
        {"Origin": origin} if origin else {}
    )
    body = {"/v1/pledges": PLEDGE, "/v1/reminders": REMINDER}.get(path, {})
    response = client_without_database.open(
        path, method=method, headers=headers, json=body if method == "POST" else None
    )
    problem = assert_problem(response, 503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert "nobody" not in str(problem)
    assert "127.0.0.1" not in str(problem)


def test_database_outage_does_not_fail_preflight(client_without_database: FlaskClient) -> None:
    headers = {"Origin": "https://paper.example", "Access-Control-Request-Method": "POST"}
    response = client_without_database.options("/v1/pledges", headers=headers)
    assert response.status_code == 204
    assert response.headers["X-Request-Id"]


def test_unexpected_error_is_a_problem_without_traceback(
    client: FlaskClient, container: Container, monkeypatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("reader@example.org")

    monkeypatch.setattr("service.api.reminders.create_or_update_reminder", broken)
    problem = assert_problem(post_reminder(client), 500, "internal_error")
    assert "reader@example.org" not in str(problem)
    assert "ZeroDivision" not in str(problem)


def test_failed_request_rolls_back_pledge(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    with container.database.transaction() as session:
        session.execute(text("ALTER TABLE idempotency_keys RENAME TO elsewhere"))
    try:
        assert_problem(post_pledge(client), 500, "internal_error")
    finally:
        with container.database.transaction() as session:
            session.execute(text("ALTER TABLE elsewhere RENAME TO idempotency_keys"))
    assert count(container, Pledge) == 0


def test_rate_limit_groups_ipv6_addresses_by_network(migrated_database: str, container: Container) -> None:
    client = create_app(build_container(settings_for(migrated_database, RATE_LIMIT="1/minute"))).test_client()

    def ask_from(address: str) -> int:
        payload = {"campaign": "default", "email": "reader@example.org"}
        return client.post("/v1/reminders", json=payload, environ_base={"REMOTE_ADDR": address}).status_code

    assert ask_from("2001:db8:1:2::1") == 201
    assert ask_from("2001:db8:1:2:ffff::9") == 429
    assert ask_from("2001:db8:1:3::1") == 201
