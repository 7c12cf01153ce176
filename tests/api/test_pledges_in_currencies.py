"""Pledges in several currencies, with covered fees and the gateway's charge limits."""

import dataclasses
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.container import Container
from service.db.models.pledge import IdempotencyKey, Pledge
from service.domain.pledges.idempotency import request_hash
from service.domain.ports import ChargeLimits
from service.web import init_app
from tests.api.client import assert_problem, count, new_idempotency_key, only_pledge, post_pledge, update_campaign
from tests.currencies import DINARS, DOLLAR_FEES, EUROS, YEN


@pytest.fixture(autouse=True)
def _several_currencies(container: Container) -> None:
    update_campaign(container, other_currencies=[EUROS, YEN, DINARS], cover_fees=DOLLAR_FEES)


@pytest.mark.parametrize(
    ("currency", "amount", "total"),
    [
        # (200 + 30) / 0.971 is 236.87; (1000 + 25) / 0.985 is 1040.6; 500 / 0.964 is 518.7.
        ("USD", 200, 237),
        ("EUR", 1000, 1041),
        ("JPY", 500, 519),
        ("KWD", 1500, 1500),
    ],
)
def test_covered_fees_are_added_to_total(
    client: FlaskClient, container: Container, currency: str, amount: int, total: int
) -> None:
    response = post_pledge(client, frequency="once", currency=currency, amount=amount, cover_fees=True)
    assert response.status_code == 201, response.text
    assert (response.json["amount"], response.json["fees"]) == (amount, total - amount)
    assert (response.json["total"], response.json["currency"]) == (total, currency)
    stored = only_pledge(container)
    assert (stored.amount_minor, stored.fees_minor, stored.currency) == (amount, total - amount, currency)
    shown = client.get(f"/v1/pledges/{stored.id}").json
    assert (shown["fees"], shown["total"]) == (total - amount, total)


@pytest.mark.parametrize("choice", [{}, {"cover_fees": False}])
def test_fees_are_not_covered_by_default(client: FlaskClient, choice: dict[str, Any]) -> None:
    response = post_pledge(client, amount=700, **choice).json
    assert (response["fees"], response["total"]) == (0, 700)


@pytest.mark.parametrize("payload", ["true", 2, None, "yes"])
def test_cover_fees_must_be_boolean(client: FlaskClient, container: Container, payload: Any) -> None:
    assert_problem(post_pledge(client, cover_fees=payload), 422, "validation_failed", field="cover_fees")
    assert count(container, Pledge) == 0


def test_currency_error_names_all_accepted_currencies(client: FlaskClient, container: Container) -> None:
    says = "This campaign takes: USD, EUR, JPY, KWD."
    assert_problem(post_pledge(client, currency="GBP"), 422, "currency_not_accepted", field="currency", says=says)
    assert count(container, Pledge) == 0


def test_frequency_must_be_offered_in_currency(client: FlaskClient) -> None:
    refused = post_pledge(client, frequency="monthly", currency="JPY", amount=500)
    assert_problem(refused, 422, "frequency_not_offered", field="frequency", says="in JPY: once")


@pytest.mark.parametrize(
    ("currency", "amount", "code", "says"),
    [
        ("EUR", 299, "amount_below_minimum", "€3."),
        ("JPY", 299, "amount_below_minimum", "¥300."),
        ("KWD", 499, "amount_below_minimum", "KWD\N{NO-BREAK SPACE}0.500."),
        ("EUR", 500_001, "amount_above_maximum", "€5,000."),
        ("JPY", 500_001, "amount_above_maximum", "¥500,000."),
        ("KWD", 1_000_001, "amount_above_maximum", "KWD\N{NO-BREAK SPACE}1,000."),
    ],
)
def test_each_currency_has_its_own_limits(
    client: FlaskClient, container: Container, currency: str, amount: int, code: str, says: str
) -> None:
    refused = post_pledge(client, frequency="once", currency=currency, amount=amount)
    assert_problem(refused, 422, code, field="amount", says=says)
    assert count(container, Pledge) == 0


def test_cover_fees_is_part_of_idempotency_hash(client: FlaskClient) -> None:
    key = new_idempotency_key()
    assert post_pledge(client, key=key, cover_fees=True).status_code == 201
    assert post_pledge(client, key=key, cover_fees=True).headers["Idempotent-Replayed"] == "true"
    assert_problem(post_pledge(client, key=key), 422, "idempotency_key_reused")


@pytest.mark.parametrize("choice", [{}, {"cover_fees": False}])
def test_idempotency_hash_without_cover_fees_is_recognised(
    client: FlaskClient, container: Container, choice: dict[str, Any]
) -> None:
    key = new_idempotency_key()
    first = post_pledge(client, key=key)
    known_then = {"campaign": "default", "frequency": "monthly", "amount": 200, "currency": "USD"}
    known_then |= dict.fromkeys(("page_url", "variant", "lang", "return_url"))
    with container.database.transaction() as session:
        session.query(IdempotencyKey).one().request_hash = request_hash(known_then)
    assert post_pledge(client, key=key, **choice).data == first.data


class SteppedGateway:
    """A gateway with a minimum of 5.000 dinars and steps of 0.010."""

    name = "sandbox"

    def __init__(self, container: Container) -> None:
        self.create_checkout = container.gateway.create_checkout
        self.save_product = container.gateway.save_product

    def charge_limits(self, currency: str) -> ChargeLimits:
        return ChargeLimits(smallest_minor=5000, step_minor=10) if currency == "KWD" else ChargeLimits()


@pytest.fixture
def stepped_client(app: Flask, container: Container) -> FlaskClient:
    init_app(app, dataclasses.replace(container, gateway=SteppedGateway(container)))
    return app.test_client()


@pytest.mark.parametrize(
    ("amount", "says"),
    [
        (4990, "give KWD 5."),
        (5005, "give KWD 5 or KWD 5.010."),
        (999_999, "give KWD 999.990 or KWD 1,000."),
    ],
)
def test_amount_not_chargeable_error_suggests_amounts(
    stepped_client: FlaskClient, container: Container, amount: int, says: str
) -> None:
    refused = post_pledge(stepped_client, frequency="once", currency="KWD", amount=amount)
    says = says.replace("KWD ", "KWD\N{NO-BREAK SPACE}")
    assert_problem(refused, 422, "amount_not_chargeable", field="amount", says=says)
    assert count(container, Pledge) == 0


def test_total_with_fees_is_rounded_up_to_gateway_step(app: Flask, container: Container) -> None:
    update_campaign(container, other_currencies=[DINARS | {"cover_fees": {"basis_points": 250, "fixed": 0}}])
    init_app(app, dataclasses.replace(container, gateway=SteppedGateway(container)))
    reader = app.test_client()
    # 5000 / 0.975 is 5128.2, which is rounded up to 5130.
    response = post_pledge(reader, frequency="once", currency="KWD", amount=5000, cover_fees=True).json
    assert (response["fees"], response["total"]) == (130, 5130)
    assert reader.get("/v1/campaigns/default").json["other_currencies"][0]["step"] == 10
