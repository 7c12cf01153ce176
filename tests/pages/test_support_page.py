"""The pledge form of the support page, which works without JavaScript."""

import re

import pytest
from flask.testing import FlaskClient

from service.container import Container
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.ports import GatewayUnavailable
from tests.api.client import count
from tests.pages.html import find_tag, parse_forms, path_of, visible_text
from tests.pages.support_form import PAGE, get_support_form, submit_pledge, the_pledge


def test_page_shows_campaign_options(client: FlaskClient) -> None:
    page = client.get(PAGE).text
    for expected in ("This paper is yours to keep", "Once", "Monthly", "Annual", "Other amount", "Continue"):
        assert expected in visible_text(page)
    for preset in ("$5", "$15", "$50", "$2", "$7", "$25", "$100"):
        assert f"<span>{preset}</span>" in page
    assert "Not ready to support today? Remind me later." in visible_text(page)
    # The script only upgrades the form, and it is a file of ours.
    [script] = re.findall("<script.*?>", page)
    assert re.search(r'src="/static/support-page\.js\?v=[0-9a-f]{16}"', script)


def test_default_choice_is_preselected(client: FlaskClient) -> None:
    fields = get_support_form(client).fields
    assert (fields["frequency"], fields["preset_monthly"], fields["other_amount"]) == ("monthly", "700", "")


def test_submission_redirects_to_the_checkout(container: Container, client: FlaskClient) -> None:
    response = submit_pledge(client, get_support_form(client))
    pledge = the_pledge(container)
    assert (response.status_code, response.headers["Location"]) == (303, pledge.checkout_url)
    assert (pledge.frequency, pledge.amount_minor, pledge.currency) == ("monthly", 700, "USD")
    assert (pledge.variant, pledge.lang) == ("support-page", "en")


def test_preset_of_the_selected_frequency_is_used(container: Container, client: FlaskClient) -> None:
    submit_pledge(client, get_support_form(client), frequency="annual", preset_annual="10000", preset_once="500")
    assert (the_pledge(container).frequency, the_pledge(container).amount_minor) == ("annual", 10000)


def test_typed_amount_overrides_the_preset(container: Container, client: FlaskClient) -> None:
    submit_pledge(client, get_support_form(client), other_amount=" $7.50 ")
    assert the_pledge(container).amount_minor == 750


def test_amount_is_parsed_in_the_page_language(container: Container, client: FlaskClient) -> None:
    submit_pledge(client, get_support_form(client, lang="ru"), other_amount="7,50")
    assert (the_pledge(container).amount_minor, the_pledge(container).lang) == (750, "ru")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("1.99", "The minimum is $2."),
        ("0", "The minimum is $2."),
        ("10000.01", "The most you can give here is $10,000. Want to give more? Contact us."),
        ("999999999999", "The most you can give here is $10,000. Want to give more? Contact us."),
        ("1.000", "Enter at most 2 decimals, such as 7.50."),
        ("seven", "Enter an amount, such as 7.50."),
        ("<b>", "Enter an amount, such as 7.50."),
        ("-5", "Enter an amount, such as 7.50."),
    ],
)
def test_invalid_amount_shows_error_and_keeps_input(
    container: Container, client: FlaskClient, typed: str, message: str
) -> None:
    form = get_support_form(client, frequency="annual", amount="2500")
    response = submit_pledge(client, form, other_amount=typed)
    assert response.status_code == 422
    assert message in visible_text(response.text)
    fields = parse_forms(response.text)[0].fields
    assert fields == form.fields | {"other_amount": typed}
    assert count(container, Pledge) == 0


def test_error_is_linked_to_its_field_and_summarised(client: FlaskClient) -> None:
    page = submit_pledge(client, get_support_form(client), other_amount="1").text
    field = find_tag(page, 'name="other_amount"')
    assert 'aria-invalid="true"' in field
    assert 'aria-describedby="amount-complaint amount-hint"' in field
    assert 'id="amount-complaint"' in page
    assert 'href="#amount"' in page
    assert 'role="alert"' in page
    assert "<title>Error: " in page


@pytest.mark.parametrize("frequency", ["", "weekly"])
def test_unavailable_frequency_is_rejected(container: Container, client: FlaskClient, frequency: str) -> None:
    response = submit_pledge(client, get_support_form(client), frequency=frequency, other_amount="5")
    assert response.status_code == 422
    assert "Choose how often you’d like to give." in visible_text(response.text)
    assert parse_forms(response.text)[0].fields["other_amount"] == "5"
    assert count(container, Pledge) == 0


@pytest.mark.parametrize("preset", ["", "7.00", "-700", "٧٠٠", "9" * 40])
def test_tampered_preset_is_rejected(container: Container, client: FlaskClient, preset: str) -> None:
    response = submit_pledge(client, get_support_form(client), preset_monthly=preset)
    assert response.status_code == 422
    assert "Choose or enter an amount." in visible_text(response.text)
    assert count(container, Pledge) == 0


def test_empty_form_is_rejected(client: FlaskClient) -> None:
    assert client.post(PAGE).status_code == 422


def test_double_submit_creates_one_pledge(container: Container, client: FlaskClient) -> None:
    form = get_support_form(client)
    first, second = submit_pledge(client, form), submit_pledge(client, form)
    assert first.headers["Location"] == second.headers["Location"]
    assert count(container, Pledge) == 1


def test_changed_choice_creates_another_pledge(container: Container, client: FlaskClient) -> None:
    form = get_support_form(client)
    first, second = submit_pledge(client, form), submit_pledge(client, form, preset_monthly="200")
    assert first.headers["Location"] != second.headers["Location"]
    assert count(container, Pledge) == 2


def test_every_form_gets_its_own_key(client: FlaskClient) -> None:
    assert get_support_form(client).fields["key"] != get_support_form(client).fields["key"]


def test_invalid_key_is_replaced(container: Container, client: FlaskClient) -> None:
    for key in ("", "short", "with a space", "x" * 500, "ключ-ключ"):
        assert submit_pledge(client, get_support_form(client), key=key).status_code == 303
    assert count(container, Pledge) == 5


def test_gateway_failure_keeps_the_form_and_allows_retry(
    container: Container, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(order: object) -> None:
        raise GatewayUnavailable

    form = get_support_form(client)
    with monkeypatch.context() as patch:
        patch.setattr(container.gateway, "create_checkout", fail)
        response = submit_pledge(client, form, other_amount="8")
    assert response.status_code == 503
    assert "You haven’t been charged" in visible_text(response.text)
    again = parse_forms(response.text)[0]
    assert again.fields == form.fields | {"other_amount": "8"}
    assert submit_pledge(client, again).status_code == 303
    assert (count(container, Pledge), count(container, Payment)) == (1, 0)


def test_form_checkout_and_thank_you_page_follow_each_other(client: FlaskClient) -> None:
    checkout = client.get(path_of(submit_pledge(client, get_support_form(client)).headers["Location"]))
    [form] = parse_forms(checkout.text)
    paid = client.post(checkout.request.path, data=form.fields | {"outcome": "pay"})
    thanks = client.get(path_of(paid.headers["Location"]))
    assert "You’re now giving The Harbour Lantern $7 a month." in visible_text(thanks.text)
