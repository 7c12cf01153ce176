"""The Stripe webhook: a signed event is stored once and acknowledged; anything else is rejected."""

import datetime
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from jobs.cleanup import purge_event_payloads
from jobs.payments import process_gateway_events
from schemas.enums import EventStatus, Frequency, PledgeStatus
from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.models.payment import GatewayEvent, Payment
from tests.api.client import assert_problem, count
from tests.conftest import settings_for
from tests.events.stripe_fixture import SECRET, StripeScenario
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson
from tests.stripe_double.webhooks import payload_of, signed
from tests.threads import RUNNING

WEBHOOK_PATH = "/v1/webhooks/stripe"


def post_event(
    client: FlaskClient, scenario: StripeScenario, event: StripeJson, *, secret: str = SECRET, age: float = 0
) -> TestResponse:
    payload = payload_of(event)
    signature = signed(payload, secret, scenario.container.clock().timestamp() - age)
    return client.post(
        WEBHOOK_PATH, data=payload, content_type="application/json", headers={"Stripe-Signature": signature}
    )


@pytest.fixture
def paid(scenario: StripeScenario, stripe: FakeStripe) -> StripeJson:
    """Return the event of a paid one-time checkout."""
    checkout = scenario.create_checkout(Frequency.ONCE)
    stripe.pay(scenario.session_of(checkout))
    return next(event for event in stripe.events if event["type"] == "checkout.session.completed")


def test_event_is_stored_and_then_applied(
    client: FlaskClient, container: Container, scenario: StripeScenario, paid: StripeJson
) -> None:
    response = post_event(client, scenario, paid)
    assert (response.status_code, response.json) == (200, {"stored": True})
    assert count(container, Payment) == 0
    assert process_gateway_events(container, RUNNING) == {"applied": 1}
    assert count(container, Payment) == 1
    with container.database.read_only() as session:
        event = session.scalars(select(GatewayEvent)).one()
    assert (event.status, event.source, event.kind) == (EventStatus.APPLIED, "webhook", paid["type"])
    assert scenario.snapshot(event.pledge_id)["pledge"]["status"] == PledgeStatus.COMPLETED


def test_event_payload_is_encrypted_at_rest(
    client: FlaskClient, container: Container, scenario: StripeScenario, paid: StripeJson
) -> None:
    post_event(client, scenario, paid)
    with container.database.engine.connect() as connection:
        ciphertext = bytes(connection.execute(text("SELECT payload FROM gateway_events")).scalar_one())
    assert paid["id"].encode() not in ciphertext
    with container.database.read_only() as session:
        assert paid["id"] in session.scalars(select(GatewayEvent.payload)).one()


def test_concurrent_deliveries_of_one_event_make_one_payment(
    container: Container, scenario: StripeScenario, paid: StripeJson
) -> None:
    app = create_app(container)

    def deliver(_: int) -> int:
        return post_event(app.test_client(), scenario, paid).status_code

    def work(_: int) -> None:
        process_gateway_events(container, RUNNING)

    with ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(deliver, range(50)))
        list(pool.map(work, range(4)))
    assert responses == [200] * 50
    assert count(container, GatewayEvent) == count(container, Payment) == 1


@pytest.mark.parametrize(
    ("secret", "age"),
    [("whsec_of_another_account", 0), (SECRET, 301), (SECRET, -301)],
    ids=["another secret", "old", "from the future"],
)
def test_invalid_signature_is_rejected(
    client: FlaskClient, container: Container, scenario: StripeScenario, paid: StripeJson, secret: str, age: float
) -> None:
    assert_problem(post_event(client, scenario, paid, secret=secret, age=age), 400, "invalid_signature")
    assert_problem(client.post(WEBHOOK_PATH, data=b"{}"), 400, "invalid_signature")
    assert count(container, GatewayEvent) == 0


def test_live_event_is_rejected_in_test_mode(
    client: FlaskClient, scenario: StripeScenario, paid: StripeJson
) -> None:
    assert_problem(post_event(client, scenario, paid | {"livemode": True}), 400, "invalid_signature")


def test_body_limit_is_a_mebibyte_for_events_only(
    client: FlaskClient, scenario: StripeScenario, paid: StripeJson
) -> None:
    large = paid | {"padding": "x" * 900_000}
    assert post_event(client, scenario, large).status_code == 200
    response = post_event(client, scenario, paid | {"padding": "x" * 1_100_000})
    assert_problem(response, 413, "body_too_large")
    assert "1024 KiB" in response.json["detail"]
    assert_problem(client.post("/v1/pledges", data=b"x" * 70_000), 413, "body_too_large")


def test_webhook_is_rejected_without_stripe(
    migrated_database: str, scenario: StripeScenario, paid: StripeJson
) -> None:
    sandbox = build_container(settings_for(migrated_database), clock=scenario.container.clock)
    assert_problem(post_event(create_app(sandbox).test_client(), scenario, paid), 400, "invalid_signature")
    assert process_gateway_events(sandbox, RUNNING) is None
    sandbox.database.engine.dispose()


def test_payload_is_purged_after_ninety_days_and_event_stays_deduplicated(
    client: FlaskClient, container: Container, scenario: StripeScenario, paid: StripeJson
) -> None:
    post_event(client, scenario, paid)
    scenario.run_event_job()
    assert purge_event_payloads(container, RUNNING) == {"purged": 0}
    container.clock.now += datetime.timedelta(days=90)
    assert purge_event_payloads(container, RUNNING) == {"purged": 1}
    assert post_event(client, scenario, paid).status_code == 200
    assert scenario.run_event_job() == {}
    assert count(container, Payment) == 1


NUL, SURROGATE = "\0", "\ud800"


def poison(event: StripeJson, text: str, *path: str) -> StripeJson:
    """Return a copy of an event with this text in one of its fields."""
    copy = json.loads(json.dumps(event))
    target = copy
    for name in path[:-1]:
        if not isinstance(target.get(name), dict):
            target[name] = {}
        target = target[name]
    target[path[-1]] = text
    return copy


@pytest.mark.parametrize("character", [NUL, SURROGATE, "\udfff", f"{SURROGATE}{NUL}"], ids=ascii)
@pytest.mark.parametrize("path", [("id",), ("type",)], ids=str)
def test_event_whose_name_cannot_be_stored_is_refused(
    client: FlaskClient,
    container: Container,
    scenario: StripeScenario,
    paid: StripeJson,
    path: tuple[str, ...],
    character: str,
) -> None:
    response = post_event(client, scenario, poison(paid, f"{paid[path[0]]}{character}", *path))
    assert_problem(response, 400, "invalid_signature")
    assert count(container, GatewayEvent) == 0


@pytest.mark.parametrize("character", [NUL, SURROGATE, "\udfff"], ids=ascii)
@pytest.mark.parametrize(
    "path",
    [
        ("data", "object", "customer_details", "name"),
        ("data", "object", "customer_details", "email"),
        ("data", "object", "customer_email"),
        ("data", "object", "client_reference_id"),
        ("data", "object", "customer"),
        ("data", "object", "payment_intent"),
        ("data", "object", "metadata", "note"),
        ("data", "object", "metadata", "no\0te\ud800"),
        ("request", "idempotency_key"),
        ("account",),
    ],
    ids=ascii,
)
def test_event_with_characters_that_cannot_be_stored_is_stored_and_applied(
    client: FlaskClient,
    container: Container,
    scenario: StripeScenario,
    paid: StripeJson,
    path: tuple[str, ...],
    character: str,
) -> None:
    response = post_event(client, scenario, poison(paid, f"re{character}ader@example.org", *path))
    assert (response.status_code, response.json) == (200, {"stored": True})
    # Another worker run finds nothing that failed with an unexpected error.
    process_gateway_events(container, RUNNING)
    with container.database.read_only() as session:
        event = session.scalars(select(GatewayEvent)).one()
    assert event.status != EventStatus.RECEIVED
    assert "Error" not in (event.reason or "")
    assert NUL not in json.loads(event.payload)


def test_pair_of_surrogates_is_one_character(
    client: FlaskClient, container: Container, scenario: StripeScenario, paid: StripeJson
) -> None:
    poisoned = poison(paid, f"Jos\N{GRINNING FACE}{NUL}", "data", "object", "customer_details", "name")
    assert post_event(client, scenario, poisoned).status_code == 200
    with container.database.read_only() as session:
        payload = json.loads(session.scalars(select(GatewayEvent.payload)).one())
    stored = payload["data"]["object"]["customer_details"]["name"]
    assert stored == "Jos\N{GRINNING FACE}\N{REPLACEMENT CHARACTER}"
