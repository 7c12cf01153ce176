"""Idempotency of pledge requests: one key creates one pledge, even if the first response was lost."""

import dataclasses
import datetime
import uuid

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from service.container import Container
from service.db.models.pledge import IdempotencyKey, Pledge
from service.domain.campaigns.cache import CampaignCache
from service.domain.ports import NO_LIMITS, ChargeLimits, Checkout, CheckoutParams, GatewayUnavailable
from service.gateways.stripe.client import PROBE_TIMEOUT
from service.web import init_app
from tests.api.client import (
    PLEDGE,
    assert_problem,
    count,
    new_idempotency_key,
    pay_pledge,
    post_pledge,
    update_campaign,
)
from tests.clock import FakeClock


def test_idempotency_key_is_required(client: FlaskClient, container: Container) -> None:
    assert_problem(client.post("/v1/pledges", json=PLEDGE), 400, "idempotency_key_required")
    assert count(container, Pledge) == 0


@pytest.mark.parametrize(
    "key",
    ["", "short77", "x" * 256, "with a space", "with\ttab", "ключ-ключ", "caf\xe9-latin-1", "delete\x7fdelete"],
)
def test_invalid_idempotency_key_is_rejected(client: FlaskClient, container: Container, key: str) -> None:
    headers = {"Idempotency-Key": key.encode().decode("latin-1")}
    response = client.post("/v1/pledges", json=PLEDGE, headers=headers)
    assert response.status_code == 400
    assert_problem(response, 400, "idempotency_key_invalid")
    assert count(container, Pledge) == 0


@pytest.mark.parametrize("key", ["8visible", "x" * 255, "!#$%&'()*+,-./:;<=>?@[]^_`{|}~\"\\"])
def test_idempotency_key_may_have_any_visible_characters(client: FlaskClient, key: str) -> None:
    assert post_pledge(client, key=key).status_code == 201


def test_idempotent_replay_returns_same_response_without_side_effects(
    client: FlaskClient, container: Container
) -> None:
    key = new_idempotency_key()
    first, second = post_pledge(client, key=key), post_pledge(client, key=key)
    assert (second.status_code, second.data) == (201, first.data)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert count(container, Pledge) == 1


def test_idempotent_replay_after_payment_returns_first_response(client: FlaskClient, container: Container) -> None:
    key = new_idempotency_key()
    first = post_pledge(client, key=key)
    pay_pledge(container, first.json["id"])
    second = post_pledge(client, key=key)
    assert second.data == first.data
    assert client.get(f"/v1/pledges/{first.json['id']}").json["status"] == "active"


def test_idempotent_replay_ignores_raised_minimum(client: FlaskClient, container: Container, app: Flask) -> None:
    key = new_idempotency_key()
    first = post_pledge(client, key=key)
    update_campaign(container, frequencies=[{"frequency": "monthly", "minimum": 900}])
    # Simulates another process, whose campaign cache is empty.
    init_app(app, dataclasses.replace(container, campaign_cache=CampaignCache(container.database.read_only)))
    assert post_pledge(client, key=key).data == first.data
    assert_problem(post_pledge(client), 422, "amount_below_minimum")


def test_idempotency_key_survives_a_day_and_a_restart(
    client: FlaskClient, container: Container, clock: FakeClock, app: Flask
) -> None:
    key = new_idempotency_key()
    first = post_pledge(client, key=key)
    clock.advance(days=6)
    assert post_pledge(client, key=key).data == first.data


def test_idempotency_ignores_field_order_and_whitespace(client: FlaskClient, container: Container) -> None:
    key = new_idempotency_key()
    first = post_pledge(client, key=key)
    for body in (
        '{"currency":"USD","amount":200,"frequency":"monthly","campaign":"default"}',
        '{ "amount": 200, "campaign": "\\u0064efault",\n "frequency": "monthly", "currency": "USD" }',
    ):
        again = client.post(
            "/v1/pledges", data=body, headers={"Idempotency-Key": key, "Content-Type": "application/json"}
        )
        assert (again.status_code, again.data) == (201, first.data)
    assert count(container, Pledge) == 1


@pytest.mark.parametrize(
    "change",
    [{"amount": 201}, {"frequency": "once"}, {"variant": "b"}, {"page_url": "https://a.example/"}, {"lang": "ru"}],
)
def test_idempotency_key_reuse_for_another_request_is_rejected(
    client: FlaskClient, container: Container, change: dict
) -> None:
    key = new_idempotency_key()
    assert post_pledge(client, key=key).status_code == 201
    assert_problem(post_pledge(client, key=key, **change), 422, "idempotency_key_reused")
    assert count(container, Pledge) == 1


def test_rejected_request_does_not_consume_idempotency_key(client: FlaskClient, container: Container) -> None:
    key = new_idempotency_key()
    assert post_pledge(client, key=key, amount=199).status_code == 422
    assert post_pledge(client, key=key, amount=200).status_code == 201


def test_two_idempotency_keys_create_two_pledges(client: FlaskClient, container: Container) -> None:
    assert post_pledge(client).json["id"] != post_pledge(client).json["id"]
    assert count(container, Pledge) == 2


class FakeGateway:
    """A gateway that can be unavailable or block during a request."""

    name = "sandbox"

    def __init__(self) -> None:
        self.available = False
        self.checkouts: list[CheckoutParams] = []
        self.during_call = lambda: None

    def charge_limits(self, currency: str) -> ChargeLimits:
        return NO_LIMITS

    def save_product(self, campaign_id: uuid.UUID, name: str) -> None:
        """Do nothing."""

    def create_checkout(self, order: CheckoutParams) -> Checkout:
        self.checkouts.append(order)
        self.during_call()
        if not self.available:
            raise GatewayUnavailable
        return Checkout(reference=f"ref_{order.pledge_id}", url=f"https://pay.example/{order.pledge_id}")


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def gateway_client(app: Flask, container: Container, gateway: FakeGateway) -> FlaskClient:
    """Return a client of an application with a gateway that the test controls."""
    init_app(app, dataclasses.replace(container, gateway=gateway))
    return app.test_client()


def test_gateway_outage_returns_retry_after(gateway_client: FlaskClient) -> None:
    response = post_pledge(gateway_client)
    assert_problem(response, 503, "payments_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_retry_after_gateway_outage_creates_one_pledge(
    gateway_client: FlaskClient, container: Container, gateway: FakeGateway
) -> None:
    key = new_idempotency_key()
    assert post_pledge(gateway_client, key=key).status_code == 503
    assert post_pledge(gateway_client, key=key).status_code == 503
    gateway.available = True
    first = post_pledge(gateway_client, key=key)
    assert first.status_code == 201
    assert first.json["checkout_url"].startswith("https://pay.example/")
    again = post_pledge(gateway_client, key=key)
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert count(container, Pledge) == 1
    assert len({order.pledge_id for order in gateway.checkouts}) == 1
    assert len(gateway.checkouts) == 3


def test_concurrent_request_with_same_key_gets_retry_after(
    app: Flask, gateway_client: FlaskClient, container: Container, gateway: FakeGateway
) -> None:
    key, concurrent = new_idempotency_key(), []
    gateway.available = True
    gateway.during_call = lambda: concurrent.append(post_pledge(app.test_client(), key=key))
    first = post_pledge(gateway_client, key=key)
    assert_problem(concurrent[0], 409, "request_in_progress")
    assert int(concurrent[0].headers["Retry-After"]) > 0
    assert first.status_code == 201
    assert count(container, Pledge) == len(gateway.checkouts) == 1


def test_concurrent_request_with_same_key_and_other_body_is_rejected(
    app: Flask, gateway_client: FlaskClient, gateway: FakeGateway
) -> None:
    key, concurrent = new_idempotency_key(), []
    gateway.available = True
    gateway.during_call = lambda: concurrent.append(post_pledge(app.test_client(), key=key, amount=300))
    post_pledge(gateway_client, key=key)
    assert_problem(concurrent[0], 422, "idempotency_key_reused")


def test_retry_completes_request_that_crashed(
    gateway_client: FlaskClient, container: Container, gateway: FakeGateway, clock: FakeClock
) -> None:
    key = new_idempotency_key()
    assert post_pledge(gateway_client, key=key).status_code == 503
    with container.database.transaction() as session:
        # The process crashed while it held the key's lease, so the lease was never released.
        session.execute(update(IdempotencyKey).values(locked_until=clock.now + datetime.timedelta(seconds=30)))
    gateway.available = True
    assert_problem(post_pledge(gateway_client, key=key), 409, "request_in_progress")
    clock.advance(seconds=31)
    assert post_pledge(gateway_client, key=key).status_code == 201
    assert count(container, Pledge) == 1


@pytest.mark.parametrize("after_a_crash", [False, True])
def test_idempotency_lease_exceeds_gateway_timeout(
    app: Flask,
    gateway_client: FlaskClient,
    container: Container,
    gateway: FakeGateway,
    clock: FakeClock,
    *,
    after_a_crash: bool,
) -> None:
    key, concurrent = new_idempotency_key(), []
    if after_a_crash:
        # The first request released the lease, so its retry holds it during the gateway call.
        assert post_pledge(gateway_client, key=key).status_code == 503
    gateway.available = True

    def during_call() -> None:
        gateway.during_call = lambda: None
        clock.advance(seconds=PROBE_TIMEOUT.total_seconds())
        concurrent.append(post_pledge(app.test_client(), key=key))

    gateway.during_call = during_call
    assert post_pledge(gateway_client, key=key).status_code == 201
    assert_problem(concurrent[0], 409, "request_in_progress")
    assert len(gateway.checkouts) == (2 if after_a_crash else 1)
    assert count(container, Pledge) == 1


SHORT_KEY, RANDOM_KEY = "checkout-1", "1c0ffee0-0000-4000-8000-000000000001"


def post_from(client: FlaskClient, address: str, key: str, **changes: object) -> TestResponse:
    """Create a pledge as a client with this IP address."""
    return client.post(
        "/v1/pledges",
        json=PLEDGE | changes,
        headers={"Idempotency-Key": key},
        environ_base={"REMOTE_ADDR": address},
    )


@pytest.mark.parametrize("address", ["203.0.113.8", "2001:db8:1:2::1"])
def test_key_that_another_client_may_guess_does_not_lead_to_its_checkout(
    client: FlaskClient, container: Container, address: str
) -> None:
    first = post_from(client, "203.0.113.7", SHORT_KEY)
    second = post_from(client, address, SHORT_KEY)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json["id"] != second.json["id"]
    assert first.json["checkout_url"] != second.json["checkout_url"]
    assert "Idempotent-Replayed" not in second.headers
    assert count(container, Pledge) == 2
    # A client that sends another request than the first does not learn that the key is known, either.
    assert post_from(client, "198.51.100.1", SHORT_KEY, amount=700).status_code == 201


@pytest.mark.parametrize("address", ["203.0.113.7", "::ffff:203.0.113.7"])
def test_short_key_is_replayed_to_its_own_client(client: FlaskClient, address: str) -> None:
    first, second = post_from(client, "203.0.113.7", SHORT_KEY), post_from(client, address, SHORT_KEY)
    assert (second.json, second.headers["Idempotent-Replayed"]) == (first.json, "true")
    assert_problem(post_from(client, address, SHORT_KEY, amount=700), 422, "idempotency_key_reused")


def test_random_key_is_replayed_although_the_reader_has_moved_to_another_network(
    client: FlaskClient, container: Container
) -> None:
    first, second = post_from(client, "203.0.113.7", RANDOM_KEY), post_from(client, "198.51.100.1", RANDOM_KEY)
    assert (second.json, second.headers["Idempotent-Replayed"]) == (first.json, "true")
    assert count(container, Pledge) == 1


@pytest.mark.parametrize("key", [SHORT_KEY, RANDOM_KEY])
def test_key_of_another_campaign_is_another_key(client: FlaskClient, container: Container, key: str) -> None:
    update_campaign(container, slug="spring")
    first = post_from(client, "203.0.113.7", key)
    second = post_from(client, "203.0.113.7", key, campaign="spring")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json["id"] != second.json["id"]
