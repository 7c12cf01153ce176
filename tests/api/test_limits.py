"""Rate limits and database outages: errors with Retry-After."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.domain.errors import TooManyRequests
from service.settings import Settings, read_settings
from tests.api.client import (
    PLEDGE,
    REMINDER,
    assert_problem,
    count,
    post_pledge,
    post_reminder,
    update_campaign,
)
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


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_every_page_can_read_that_the_database_is_down(client_without_database: FlaskClient, method: str) -> None:
    headers = {"Origin": "https://paper.example", "Access-Control-Request-Method": "GET"}
    response = client_without_database.open("/v1/campaigns/default?lang=en", method=method, headers=headers)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]


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


def client_with(migrated_database: str, **settings: str) -> FlaskClient:
    return create_app(build_container(settings_for(migrated_database, **settings))).test_client()


def ask_from(client: FlaskClient, address: str, **headers: str) -> int:
    """Sign up for a reminder from this address; return the status."""
    remote = {"REMOTE_ADDR": address}
    return client.post("/v1/reminders", json=REMINDER, environ_base=remote, headers=headers).status_code


@pytest.mark.parametrize(
    "spellings",
    [
        [f"203.0.113.7:{port}" for port in range(4711, 4715)],
        [f"[2001:db8:1:2::7]:{port}" for port in range(4711, 4715)],
        ["203.0.113.7", "::ffff:203.0.113.7", "[::ffff:203.0.113.7]:80", "::FFFF:CB00:7107"],
        ["_a", "_b", "_c", "_d"],
    ],
)
def test_rate_limit_is_not_evaded_by_another_spelling(
    migrated_database: str, container: Container, spellings: list[str]
) -> None:
    client = client_with(migrated_database, RATE_LIMIT="2/minute", TRUSTED_PROXIES="1")
    statuses = [ask_from(client, "10.0.0.1", **{"X-Forwarded-For": spelling}) for spelling in spellings]
    assert statuses == [201, 201, 429, 429]


@pytest.mark.parametrize(
    ("addresses", "elsewhere"),
    [
        ([f"2001:db8:1:{number:x}::1" for number in range(12)], "2001:db8:2::1"),
        ([f"203.0.113.{number}" for number in range(12)], "203.0.114.1"),
        ([f"::ffff:203.0.113.{number}" for number in range(12)], "::ffff:203.0.114.1"),
    ],
)
def test_rotating_addresses_of_one_network_are_limited_together(
    migrated_database: str, container: Container, addresses: list[str], elsewhere: str
) -> None:
    client = client_with(migrated_database, RATE_LIMIT="2/minute")
    assert [ask_from(client, address) for address in addresses] == [201] * 8 + [429] * 4
    assert ask_from(client, elsewhere) == 201


def test_ipv4_addresses_in_ipv6_are_not_one_client(migrated_database: str, container: Container) -> None:
    client = client_with(migrated_database, RATE_LIMIT="1/minute")
    assert [ask_from(client, f"::ffff:203.0.{number}.7") for number in range(6)] == [201] * 6


def test_campaign_has_a_ceiling_for_all_clients_together(migrated_database: str, container: Container) -> None:
    update_campaign(container, slug="spring")
    client = client_with(migrated_database, RATE_LIMIT="100/minute", CAMPAIGN_RATE_LIMIT="3/minute")
    pledge = {"json": PLEDGE, "headers": {"Idempotency-Key": "0" * 32}}
    responses = [
        client.post("/v1/pledges", environ_base={"REMOTE_ADDR": f"203.{number}.113.7"}, **pledge)
        for number in range(5)
    ]
    assert [response.status_code for response in responses] == [201] * 3 + [429] * 2
    assert int(responses[-1].headers["Retry-After"]) >= 1
    # Another campaign, and another action, have their own ceiling.
    headers = {"Idempotency-Key": "0" * 32}
    assert client.post("/v1/pledges", json=PLEDGE | {"campaign": "spring"}, headers=headers).status_code == 201
    assert ask_from(client, "198.51.100.7") == 201
    form = {"frequency": "monthly", "preset_monthly": "200"}
    assert client.post("/support/default", data=form).status_code == 429


def test_reminders_of_a_campaign_have_a_ceiling_by_the_api_and_by_its_page(
    migrated_database: str, container: Container
) -> None:
    client = client_with(migrated_database, RATE_LIMIT="100/minute", CAMPAIGN_RATE_LIMIT="3/minute")
    form = {"email": REMINDER["email"], "months": "1"}

    def submit_from(address: str) -> int:
        remote = {"REMOTE_ADDR": address}
        return client.post("/support/default/reminder", data=form, environ_base=remote).status_code

    assert [ask_from(client, f"203.{number}.113.7") for number in range(2)] == [201] * 2
    assert [submit_from(f"198.{number}.100.7") for number in range(2)] == [303, 429]
    assert ask_from(client, "192.0.2.7") == 429


def test_ceiling_can_be_off(migrated_database: str, container: Container) -> None:
    client = client_with(migrated_database, RATE_LIMIT="1/minute", CAMPAIGN_RATE_LIMIT="off")
    assert [ask_from(client, f"203.0.{number}.7") for number in range(3)] == [201] * 3


def test_default_limits_let_an_office_give_and_stop_a_script(migrated_database: str, container: Container) -> None:
    environment = {"DATABASE_URL": migrated_database, "SECRET_KEYS": "k" * 32}
    settings = read_settings(environment)
    assert (settings.rate_limit, settings.campaign_rate_limit) == ("60/minute", "600/minute")
    limiter = build_container(settings).rate_limiter
    for _ in range(60):
        limiter.check("pledge", "203.0.113.7/32")
    with pytest.raises(TooManyRequests):
        limiter.check("pledge", "203.0.113.7/32")
