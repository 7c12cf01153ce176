"""The support page by query string, language and campaign."""

import pytest
from flask.testing import FlaskClient

from service.container import Container
from tests.api.client import update_campaign
from tests.pages.html import visible_text
from tests.pages.support_form import PAGE, get_support_form, submit_pledge, the_pledge


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"frequency": "monthly", "amount": "200"}, ("monthly", "200", "")),
        ({"frequency": "monthly", "amount": "500"}, ("monthly", "700", "5")),
        ({"frequency": "monthly", "amount": "750"}, ("monthly", "700", "7.50")),
        ({"frequency": "monthly", "amount": "750", "lang": "ru"}, ("monthly", "700", "7,50")),
        ({"amount": "200"}, ("monthly", "200", "")),
        ({"frequency": "weekly", "amount": "200"}, ("monthly", "200", "")),
        ({"frequency": "monthly", "amount": "199"}, ("monthly", "700", "")),
        ({"frequency": "monthly", "amount": "1000001"}, ("monthly", "700", "")),
        ({"frequency": "monthly", "amount": "7.50"}, ("monthly", "700", "")),
        ({"frequency": "monthly", "amount": "9" * 5000}, ("monthly", "700", "")),
    ],
)
def test_query_string_preselects_a_choice(
    client: FlaskClient, query: dict[str, str], expected: tuple[str, str, str]
) -> None:
    fields = get_support_form(client, **query).fields
    assert (fields["frequency"], fields["preset_monthly"], fields["other_amount"]) == expected


@pytest.mark.parametrize(
    ("query", "accept_language", "lang"),
    [
        ("", "", "en"),
        ("", "ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("", "nl,ru;q=0.5", "ru"),
        ("", "nl", "en"),
        ("?lang=en", "ru", "en"),
        ("?lang=ru", "en", "ru"),
        ("?lang=xx", "ru", "ru"),
        ("?lang=%00%FF", "", "en"),
    ],
)
def test_page_language_is_negotiated(client: FlaskClient, query: str, accept_language: str, lang: str) -> None:
    response = client.get(PAGE + query, headers={"Accept-Language": accept_language})
    assert f'<html lang="{lang}"' in response.text
    assert response.headers["Content-Language"] == lang
    assert "Accept-Language" in response.headers["Vary"]
    heading = {"en": "This paper is yours to keep", "ru": "Эта газета держится на вас"}[lang]
    assert heading in response.text


def test_untranslated_campaign_text_has_its_own_lang_attribute(container: Container, client: FlaskClient) -> None:
    update_campaign(container, texts={})
    page = client.get(PAGE + "?lang=ru").text
    assert '<html lang="ru"' in page
    assert '<div class="appeal" lang="en" dir="auto">' in page


def test_right_to_left_language_sets_the_direction(container: Container, client: FlaskClient) -> None:
    update_campaign(container, texts={"ar": {"heading": "هذه الصحيفة لكم"}})
    assert '<html lang="ar" dir="rtl">' in client.get(PAGE + "?lang=ar").text


def test_zero_decimal_currency(container: Container, client: FlaskClient) -> None:
    yen = {"frequency": "once", "presets": [500, 1000], "default": 500, "minimum": 200, "maximum": 100000}
    update_campaign(container, currency="JPY", frequencies=[yen], default_frequency="once")
    form = get_support_form(client, frequency="once", amount="750")
    assert form.fields["other_amount"] == "750"
    assert submit_pledge(client, form, other_amount="7.50").status_code == 422
    assert submit_pledge(client, form).status_code == 303
    assert the_pledge(container).amount_minor == 750


def test_single_frequency_has_no_choice(container: Container, client: FlaskClient) -> None:
    update_campaign(container, frequencies=[{"frequency": "once"}], default_frequency="once")
    form = get_support_form(client)
    assert form.fields["frequency"] == "once"
    assert "How often" not in visible_text(client.get(PAGE).text)
    assert submit_pledge(client, form).status_code == 303
