"""One rule for addresses: the cases of `tests/email_addresses.json`, which the widget's tests run too."""

import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from service.container import Container
from service.db.models.supporter import Supporter
from service.domain.email.addresses import normalise_address
from service.domain.errors import InvalidAddress
from tests.api.client import count, post_pledge, post_reminder

CASES = json.loads((Path(__file__).parents[1] / "email_addresses.json").read_text(encoding="utf-8"))
VALID = [case["address"] for case in CASES if case["service"]]
INVALID = [case["address"] for case in CASES if not case["service"]]


def test_the_widget_refuses_nothing_that_the_service_accepts() -> None:
    assert VALID
    assert all(case["widget"] for case in CASES if case["service"])


@pytest.mark.parametrize("address", VALID)
def test_accepted_address(address: str) -> None:
    assert normalise_address(normalise_address(address)) == normalise_address(address)


@pytest.mark.parametrize("address", INVALID)
def test_refused_address(address: str) -> None:
    with pytest.raises(InvalidAddress):
        normalise_address(address)


def test_every_form_takes_the_same_addresses(client: FlaskClient, container: Container) -> None:
    for case in CASES:
        address, accepted = case["address"], case["service"]
        responses = {
            "api": post_reminder(client, email=address).status_code == 201,
            "page": client.post("/support/default/reminder", data={"email": address}).status_code == 303,
            "me": client.post("/me", data={"email": address}).status_code == 303,
        }
        assert responses == dict.fromkeys(responses, accepted), address
    # A checkout needs no address.
    for case in CASES:
        checkout = post_pledge(client).json["checkout_url"].removeprefix("http://desk.test")
        data = {"outcome": "pay", "email": case["address"]}
        accepted = case["service"] or not case["address"]
        assert (client.post(checkout, data=data).status_code == 303) == accepted, case["address"]
    assert count(container, Supporter) > len(VALID) / 2


@pytest.mark.parametrize("path", ["/support/default", "/me", "checkout"])
def test_forms_do_not_let_browsers_refuse_international_addresses(client: FlaskClient, path: str) -> None:
    if path == "checkout":
        path = post_pledge(client).json["checkout_url"].removeprefix("http://desk.test")
    page = client.get(path).text
    assert 'type="email"' not in page
    attributes = 'inputmode="email" autocomplete="email" autocapitalize="off" spellcheck="false"'
    assert f'<input id="email" name="email" type="text" {attributes}' in page
