"""The webhook: what Stripe signed is stored once and answered at once; everything else is refused."""

import datetime
import threading
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

GO_ON = threading.Event()
HOOK = "/v1/webhooks/stripe"


def post(
    client: FlaskClient, scenario: StripeScenario, event: StripeJson, *, secret: str = SECRET, age: float = 0
) -> TestResponse:
    payload = payload_of(event)
    signature = signed(payload, secret, scenario.container.clock().timestamp() - age)
    return client.post(
        HOOK, data=payload, content_type="application/json", headers={"Stripe-Signature": signature}
    )


@pytest.fixture
def paid(scenario: StripeScenario, stripe: FakeStripe) -> StripeJson:
    """Return the event that tells of a gift."""
    opened = scenario.create_checkout(Frequency.ONCE)
    stripe.pay(scenario.session_of(opened))
    return next(event for event in stripe.events if event["type"] == "checkout.session.completed")


def test_an_event_is_stored_and_then_applied(
    client: FlaskClient, container: Container, scenario: StripeScenario, paid: StripeJson
) -> None:
    response = post(client, scenario, paid)
    assert (response.status_code, response.json) == (200, {"stored": True})
    assert count(container, Payment) == 0
    assert process_gateway_events(container, GO_ON) == {"applied": 1}
    assert count(container, Payment) == 1
    with container.database.read_only() as session:
        event = session.scalars(select(GatewayEvent)).one()
    assert (event.status, event.source, event.kind) == (EventStatus.APPLIED, "webhook", paid["type"])
    assert scenario.books(event.pledge_id)["pledge"]["status"] == PledgeStatus.COMPLETED


def test_what_an_event_says_lies_encrypted(
    client: FlaskClient, container: Container, scenario: StripeScenario, paid: StripeJson
) -> None:
    post(client, scenario, paid)
    with container.database.engine.connect() as connection:
        lying = bytes(connection.execute(text("SELECT payload FROM gateway_events")).scalar_one())
    assert paid["id"].encode() not in lying
    with container.database.read_only() as session:
        assert paid["id"] in session.scalars(select(GatewayEvent.payload)).one()


def test_fifty_deliveries_of_one_event_at_once_make_one_payment(
    container: Container, scenario: StripeScenario, paid: StripeJson
) -> None:
    app = create_app(container)

    def deliver(_: int) -> int:
        return post(app.test_client(), scenario, paid).status_code

    def work(_: int) -> None:
        process_gateway_events(container, GO_ON)

    with ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(deliver, range(50)))
        list(pool.map(work, range(4)))
    assert responses == [200] * 50
    assert count(container, GatewayEvent) == count(container, Payment) == 1


@pytest.mark.parametrize(
    ("secret", "age"),
    [("whsec_of_somebody_else", 0), (SECRET, 301), (SECRET, -301)],
    ids=["another secret", "old", "from the future"],
)
def test_what_does_not_prove_to_be_stripe_s_is_refused(
    client: FlaskClient, container: Container, scenario: StripeScenario, paid: StripeJson, secret: str, age: float
) -> None:
    assert_problem(post(client, scenario, paid, secret=secret, age=age), 400, "invalid_signature")
    assert_problem(client.post(HOOK, data=b"{}"), 400, "invalid_signature")
    assert count(container, GatewayEvent) == 0


def test_an_event_of_real_money_is_not_one_of_a_test(
    client: FlaskClient, scenario: StripeScenario, paid: StripeJson
) -> None:
    assert_problem(post(client, scenario, paid | {"livemode": True}), 400, "invalid_signature")


def test_an_event_may_be_a_mebibyte_and_nothing_else_may(
    client: FlaskClient, scenario: StripeScenario, paid: StripeJson
) -> None:
    large = paid | {"padding": "x" * 900_000}
    assert post(client, scenario, large).status_code == 200
    response = post(client, scenario, paid | {"padding": "x" * 1_100_000})
    assert_problem(response, 413, "body_too_large")
    assert "1024 KiB" in response.json["detail"]
    assert_problem(client.post("/v1/pledges", data=b"x" * 70_000), 413, "body_too_large")


def test_without_stripe_nothing_is_believed(
    migrated_database: str, scenario: StripeScenario, paid: StripeJson
) -> None:
    sandbox = build_container(settings_for(migrated_database), clock=scenario.container.clock)
    assert_problem(post(create_app(sandbox).test_client(), scenario, paid), 400, "invalid_signature")
    assert process_gateway_events(sandbox, GO_ON) is None
    sandbox.database.engine.dispose()


def test_payloads_are_forgotten_after_ninety_days_and_the_event_is_still_known(
    client: FlaskClient, container: Container, scenario: StripeScenario, paid: StripeJson
) -> None:
    post(client, scenario, paid)
    scenario.run_event_job()
    assert purge_event_payloads(container, GO_ON) == {"forgotten": 0}
    container.clock.now += datetime.timedelta(days=90)
    assert purge_event_payloads(container, GO_ON) == {"forgotten": 1}
    assert post(client, scenario, paid).status_code == 200
    assert scenario.run_event_job() == {}
    assert count(container, Payment) == 1
