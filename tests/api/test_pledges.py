"""Pledges: creation within the campaign's limits, validation errors, and public status."""

import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service.container import Container
from service.db.models.pledge import IdempotencyKey, Pledge, PledgeStatusChange
from tests.api.client import OMIT, assert_problem, count, parse_timestamp, pay_pledge, post_pledge, update_campaign
from tests.clock import FakeClock


def test_pledge_is_created_with_checkout_url(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    response = post_pledge(client)
    assert response.status_code == 201
    assert response.content_type == "application/json"
    body = response.json
    assert body.keys() == {
        "id",
        "status",
        "frequency",
        "amount",
        "currency",
        "fees",
        "total",
        "checkout_url",
        "created_at",
    }
    assert (body["status"], body["frequency"], body["amount"], body["currency"]) == (
        "pending",
        "monthly",
        200,
        "USD",
    )
    assert uuid.UUID(body["id"]).version == 7
    assert parse_timestamp(body["created_at"]) == clock.now
    assert body["checkout_url"].startswith("http://desk.test/")
    assert "Idempotent-Replayed" not in response.headers
    assert (
        count(container, Pledge) == count(container, PledgeStatusChange) == count(container, IdempotencyKey) == 1
    )


def test_pledge_stores_page_url_variant_and_lang(client: FlaskClient, container: Container) -> None:
    context = {
        "page_url": "https://paper.example/a?b=c#d",
        "variant": "Blue_2.b-1",
        "lang": "pt-BR",
    }
    assert post_pledge(client, **context).status_code == 201
    with container.database.read_only() as session:
        stored = session.scalars(select(Pledge)).one()
        assert {name: getattr(stored, name) for name in context} == context


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("de-AT-x-newsroom-politics-regional-vienna", "de-AT-x-newsroom-politics-regional"),
        ("sl-Latn-IT-rozaj-biske-1994-a-extended-x-paper", "sl-Latn-IT-rozaj-biske-1994"),
        ("en" + "-GB" * 500, "en" + "-GB" * 11),
        ("de-x", "de"),
    ],
)
def test_long_language_tag_loses_its_last_subtags(
    client: FlaskClient, container: Container, sent: str, stored: str
) -> None:
    assert post_pledge(client, lang=sent).status_code == 201
    with container.database.read_only() as session:
        assert session.scalars(select(Pledge.lang)).one() == stored


def test_amount_below_minimum_is_rejected(client: FlaskClient, container: Container) -> None:
    for frequency in ("once", "monthly", "annual"):
        response = post_pledge(client, amount=199, frequency=frequency)
        problem = assert_problem(response, 422, "amount_below_minimum", field="amount", says="$2")
        assert "$2" in problem["errors"]["amount"][0]
    assert (
        count(container, Pledge) == count(container, IdempotencyKey) == count(container, PledgeStatusChange) == 0
    )


def test_amount_above_maximum_is_rejected(client: FlaskClient, container: Container) -> None:
    assert post_pledge(client, amount=1_000_000).status_code == 201
    response = post_pledge(client, amount=1_000_001)
    assert_problem(response, 422, "amount_above_maximum", field="amount", says="$10,000")
    assert count(container, Pledge) == 1


def test_amount_error_is_localised(client: FlaskClient) -> None:
    assert "2 $" in post_pledge(client, amount=1, lang="ru").json["detail"].replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("frequency", "amount", "code"),
    [
        ("once", 499, "amount_below_minimum"),
        ("once", 500, None),
        ("once", 900, None),
        ("once", 901, "amount_above_maximum"),
        ("annual", 1999, "amount_below_minimum"),
        ("annual", 2000, None),
        ("annual", 3000, None),
        ("annual", 3001, "amount_above_maximum"),
        ("monthly", 700, "frequency_not_offered"),
    ],
)
def test_each_frequency_has_its_own_limits(
    client: FlaskClient, container: Container, frequency: str, amount: int, code: str | None
) -> None:
    update_campaign(
        container,
        frequencies=[
            {"frequency": "once", "minimum": 500, "maximum": 900},
            {"frequency": "annual", "minimum": 2000, "maximum": 3000},
        ],
        default_frequency="once",
    )
    response = post_pledge(client, frequency=frequency, amount=amount)
    if code is None:
        assert response.status_code == 201
    else:
        assert_problem(response, 422, code)
        assert count(container, Pledge) == 0


RAW_AMOUNTS = [
    "2.5", "5.0", "200.0", "-1e400", "1e3", "2E2", "-0.0", "1e400", '"200"', '"2.00"', '""', "true", "false",
    "null",
    "0", "-0", "-1", "-200", "[]", "[200]", "{}", '{"value": 200}', "10000000000000", "9223372036854775807",
    "9223372036854775808", "1" + "0" * 99, "1" + "0" * 100, "1" + "0" * 5000, "-1" + "0" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("raw", RAW_AMOUNTS, ids=lambda raw: raw[:20])
def test_amount_that_is_not_an_integer_is_rejected(client: FlaskClient, container: Container, raw: str) -> None:
    body = '{"campaign":"default","frequency":"monthly","currency":"USD","amount":' + raw + "}"
    headers = {"Idempotency-Key": "one-of-the-amounts", "Content-Type": "application/json"}
    assert_problem(
        client.post("/v1/pledges", data=body, headers=headers), 422, "validation_failed", field="amount"
    )
    assert count(container, Pledge) == count(container, IdempotencyKey) == 0


@pytest.mark.parametrize("field", ["campaign", "frequency", "amount", "currency"])
def test_pledge_fields_are_required(client: FlaskClient, container: Container, field: str) -> None:
    assert_problem(post_pledge(client, **{field: OMIT}), 422, "validation_failed", field=field)
    assert count(container, Pledge) == 0


def test_all_field_errors_are_reported_together(client: FlaskClient) -> None:
    problem = assert_problem(
        post_pledge(client, frequency="weekly", amount="2", currency="dollars", colour="red"),
        422,
        "validation_failed",
    )
    assert problem["errors"].keys() == {"frequency", "amount", "currency", "colour"}


def test_currency_error_names_accepted_currency(client: FlaskClient, container: Container) -> None:
    assert_problem(post_pledge(client, currency="EUR"), 422, "currency_not_accepted", field="currency", says="USD")
    assert count(container, Pledge) == 0


def test_pledge_to_unknown_campaign_is_not_found(client: FlaskClient, container: Container) -> None:
    assert_problem(post_pledge(client, campaign="none"), 404, "campaign_not_found")
    assert count(container, Pledge) == 0


def test_zero_decimal_currency_uses_whole_units(client: FlaskClient, container: Container) -> None:
    update_campaign(
        container, currency="JPY", frequencies=[{"frequency": "once", "minimum": 300}], default_frequency="once"
    )
    assert post_pledge(client, currency="JPY", frequency="once", amount=300).json["amount"] == 300
    assert_problem(
        post_pledge(client, currency="JPY", frequency="once", amount=299), 422, "amount_below_minimum", says="¥300"
    )


def test_pledge_status_is_public_without_personal_data(client: FlaskClient, container: Container) -> None:
    pledge = post_pledge(client, page_url="https://paper.example/", variant="blue").json
    pay_pledge(container, pledge["id"])
    shown = client.get(f"/v1/pledges/{pledge['id']}")
    assert shown.status_code == 200
    assert shown.json == {
        "id": pledge["id"],
        "status": "active",
        "frequency": "monthly",
        "amount": 200,
        "currency": "USD",
        "fees": 0,
        "total": 200,
        "created_at": pledge["created_at"],
    }
    assert "reader@" not in shown.text


@pytest.mark.parametrize(
    ("frequency", "status"), [("once", "completed"), ("monthly", "active"), ("annual", "active")]
)
def test_paid_pledge_is_active(client: FlaskClient, container: Container, frequency: str, status: str) -> None:
    pledge = post_pledge(client, frequency=frequency).json
    assert client.get(f"/v1/pledges/{pledge['id']}").json["status"] == "pending"
    pay_pledge(container, pledge["id"])
    assert client.get(f"/v1/pledges/{pledge['id']}").json["status"] == status
