"""Campaigns in several currencies, each with its own options, and with fees that readers can cover."""

import dataclasses
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.container import Container
from service.domain.ports import ChargeLimits
from service.web import init_app
from tests.api.client import assert_problem, auth_headers, campaign_definition, update_campaign
from tests.currencies import DINARS, DOLLAR_FEES, EUROS, YEN

DEFAULT = "/v1/campaigns/default"
ONCE = {"frequency": "once"}
FIVE = ONCE | {"presets": [500], "minimum": 500}


@pytest.fixture(autouse=True)
def _skip_ttl_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    # test_campaigns.py tests the wait for other processes.
    monkeypatch.setattr("service.api.admin.campaigns.wait_for_ttl", lambda: None)


def put(client: FlaskClient, container: Container, **changes: Any) -> TestResponse:
    file = campaign_definition(container) | changes
    return client.put("/v1/admin/campaigns/default", json=file, headers=auth_headers(container, "manage"))


def test_demo_campaign_has_one_currency_and_no_fee_option(client: FlaskClient) -> None:
    campaign = client.get(DEFAULT).json
    assert (campaign["other_currencies"], campaign["cover_fees"], campaign["step"]) == ([], None, 1)
    assert (campaign["legal_name"], campaign["tax_line"]) == (None, None)
    assert "cover_fees" not in campaign["texts"]


def test_each_currency_has_its_own_options_exponent_and_fees(container: Container, client: FlaskClient) -> None:
    update_campaign(container, other_currencies=[YEN, DINARS, EUROS], cover_fees=DOLLAR_FEES)
    campaign = client.get(DEFAULT).json
    assert (campaign["currency"], campaign["exponent"], campaign["cover_fees"]) == ("USD", 2, DOLLAR_FEES)
    assert [choice["minimum"] for choice in campaign["frequencies"]] == [200, 200, 200]
    assert campaign["other_currencies"] == [
        YEN | {"exponent": 0, "step": 1},
        DINARS | {"exponent": 3, "step": 1, "cover_fees": None},
        EUROS | {"exponent": 2, "step": 1},
    ]


@pytest.mark.parametrize("change", [{"other_currencies": [YEN]}, {"cover_fees": DOLLAR_FEES}])
def test_offer_texts_are_included_only_if_needed(
    container: Container, client: FlaskClient, change: dict[str, Any]
) -> None:
    update_campaign(container, texts={"ru": {"cover_fees": "Взять комиссию на себя"}}, **change)
    assert client.get(DEFAULT).json["texts"]["cover_fees"] == "Cover the fees"
    assert client.get(f"{DEFAULT}?lang=ru").json["texts"]["cover_fees"] == "Взять комиссию на себя"


def test_campaign_has_legal_name_and_tax_line(container: Container, client: FlaskClient) -> None:
    update_campaign(
        container, legal_name="Stichting De Lantaarn", tax_line="RSIN 123456789; gifts are deductible."
    )
    campaign = client.get(DEFAULT).json
    assert campaign["legal_name"] == "Stichting De Lantaarn"
    assert campaign["tax_line"] == "RSIN 123456789; gifts are deductible."


def test_multi_currency_campaign_round_trips(client: FlaskClient, container: Container) -> None:
    requested = {"other_currencies": [EUROS, YEN], "cover_fees": DOLLAR_FEES, "legal_name": "L", "tax_line": "T"}
    response = put(client, container, **requested)
    assert response.status_code == 200
    assert response.json == campaign_definition(container)
    assert {name: response.json[name] for name in requested} == requested
    assert put(client, container).json == response.json


def test_removed_currency_removes_its_options_and_fees(client: FlaskClient, container: Container) -> None:
    put(client, container, other_currencies=[EUROS, YEN], cover_fees=DOLLAR_FEES)
    assert put(client, container, other_currencies=[YEN], cover_fees=None).json["other_currencies"] == [YEN]
    campaign = client.get(DEFAULT).json
    assert campaign["cover_fees"] is None
    assert [offer["currency"] for offer in campaign["other_currencies"]] == ["JPY"]


def test_main_currency_can_change(client: FlaskClient, container: Container) -> None:
    before = campaign_definition(container)
    dollars = {name: before[name] for name in ("currency", "frequencies", "cover_fees")}
    put(client, container, **EUROS, other_currencies=[dollars], default_frequency="once")
    campaign = client.get(DEFAULT).json
    assert (campaign["currency"], campaign["frequencies"]) == ("EUR", EUROS["frequencies"])
    assert [offer["currency"] for offer in campaign["other_currencies"]] == ["USD"]


def test_fee_may_be_only_a_rate_or_only_fixed(client: FlaskClient, container: Container) -> None:
    assert put(client, container, cover_fees={"basis_points": 150}).json["cover_fees"] == {
        "basis_points": 150,
        "fixed": 0,
    }
    assert put(client, container, cover_fees={"fixed": 30}).json["cover_fees"] == {"basis_points": 0, "fixed": 30}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"other_currencies": [EUROS, EUROS]}, "other_currencies"),
        ({"other_currencies": [EUROS | {"currency": "USD"}]}, "other_currencies"),
        ({"other_currencies": [EUROS | {"currency": "XYZ"}]}, "other_currencies.0.currency"),
        ({"other_currencies": [EUROS | {"currency": "eur"}]}, "other_currencies.0.currency"),
        ({"other_currencies": [{"currency": "EUR"}]}, "other_currencies.0.frequencies"),
        ({"other_currencies": [EUROS | {"frequencies": []}]}, "other_currencies.0.frequencies"),
        ({"other_currencies": [EUROS | {"frequencies": [ONCE, ONCE]}]}, "other_currencies.0.frequencies"),
        (
            {"other_currencies": [EUROS | {"frequencies": [ONCE | {"minimum": 600, "presets": [500]}]}]},
            "other_currencies.0.frequencies.0.presets",
        ),
        ({"other_currencies": [EUROS | {"exponent": 2}]}, "other_currencies.0.exponent"),
        ({"other_currencies": ["EUR"]}, "other_currencies.0"),
        ({"other_currencies": [EUROS | {"cover_fees": {"basis_points": 10_000}}]},
         "other_currencies.0.cover_fees.basis_points"),
        ({"cover_fees": {"basis_points": 10_000, "fixed": 30}}, "cover_fees.basis_points"),
        ({"cover_fees": {"basis_points": 2.9}}, "cover_fees.basis_points"),
        ({"cover_fees": {"basis_points": -1}}, "cover_fees.basis_points"),
        ({"cover_fees": {"fixed": -1}}, "cover_fees.fixed"),
        ({"cover_fees": {"fixed": True}}, "cover_fees.fixed"),
        ({"cover_fees": {}}, "cover_fees.basis_points"),
        ({"cover_fees": {"percent": 3}}, "cover_fees.percent"),
        ({"cover_fees": 290}, "cover_fees"),
        ({"legal_name": ""}, "legal_name"),
        ({"tax_line": "x" * 501}, "tax_line"),
    ],
)  # fmt: skip
def test_invalid_currency_option_is_rejected(
    client: FlaskClient, container: Container, change: dict[str, Any], field: str
) -> None:
    before = campaign_definition(container)
    assert_problem(put(client, container, **change), 422, "validation_failed", field=field)
    assert campaign_definition(container) == before


class Dear:
    """A gateway with a minimum of 5.00 in every currency, and steps of 0.010 dinars."""

    name = "dear"

    def charge_limits(self, currency: str) -> ChargeLimits:
        return {"KWD": ChargeLimits(smallest_minor=500, step_minor=10), "USD": ChargeLimits()}.get(
            currency, ChargeLimits(smallest_minor=500)
        )


@pytest.fixture
def expensive_client(app: Flask, container: Container) -> FlaskClient:
    init_app(app, dataclasses.replace(container, gateway=Dear()))
    return app.test_client()


def once(currency: str, **terms: Any) -> dict[str, Any]:
    return {"currency": currency, "frequencies": [ONCE | terms]}


@pytest.mark.parametrize(
    ("offer", "says"),
    [
        (EUROS, "EUR, once: the minimum of 3.00 cannot be charged by dear, whose smallest charge is 5.00."),
        (once("JPY", minimum=499, presets=[500]), "JPY, once: the minimum of 499 cannot be charged by dear"),
        (
            once("KWD", minimum=505, presets=[510]),
            "KWD, once: the minimum of 0.505 cannot be charged by dear, which",
        ),
        (
            once("KWD", minimum=500, presets=[500, 1505]),
            "the preset of 1.505 cannot be charged by dear, which charges",
        ),
        (once("KWD", minimum=500, presets=[500], default=505), "the default of 0.505 cannot be charged by dear"),
    ],
)
def test_amount_that_gateway_cannot_charge_is_rejected_in_campaign(
    expensive_client: FlaskClient, container: Container, offer: dict[str, Any], says: str
) -> None:
    before = campaign_definition(container)
    refused = put(
        expensive_client, container, other_currencies=[YEN | {"currency": "SEK", "frequencies": [FIVE]}, offer]
    )
    assert_problem(refused, 422, "amount_not_chargeable", field="other_currencies.1.frequencies", says=says)
    assert campaign_definition(container) == before


def test_main_currency_amounts_are_checked_against_gateway(
    expensive_client: FlaskClient, container: Container
) -> None:
    refused = put(expensive_client, container, currency="EUR")
    assert_problem(
        refused, 422, "amount_not_chargeable", field="frequencies", says="EUR, once: the minimum of 2.00"
    )


def test_amount_that_gateway_can_charge_is_accepted_in_campaign(
    expensive_client: FlaskClient, container: Container
) -> None:
    dinars = once("KWD", minimum=500, presets=[500, 1510])
    assert put(expensive_client, container, other_currencies=[dinars]).status_code == 200
    assert expensive_client.get(DEFAULT).json["other_currencies"][0]["step"] == 10
