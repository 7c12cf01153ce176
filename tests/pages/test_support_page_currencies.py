"""The support page with several currencies and fees that a reader may cover."""

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service.container import Container
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.domain.errors import AmountNotChargeable
from service.domain.ports import ChargeLimits, GatewayUnavailable
from service.pages.form_errors import FIELD_AND_TEXT_BY_CODE
from tests.api.client import count, update_campaign
from tests.currencies import DINARS, DOLLAR_FEES, EUROS, YEN
from tests.pages.html import find_tag, parse_forms, path_of, visible_text
from tests.pages.support_form import PAGE, get_support_form, submit_pledge, the_pledge

NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture(autouse=True)
def _several_currencies(container: Container) -> None:
    update_campaign(container, other_currencies=[EUROS, YEN, DINARS], cover_fees=DOLLAR_FEES)


def currency_links(page: str) -> dict[str, str]:
    [links] = re.findall(r'<ul class="currencies">(.*?)</ul>', page, flags=re.DOTALL)
    return {name: url.replace("&amp;", "&") for url, name in re.findall(r'href="([^"]+)"[^>]*>([^<]+)<', links)}


def test_currency_links_mark_the_current_currency(client: FlaskClient) -> None:
    page = client.get(PAGE).text
    links = currency_links(page)
    assert list(links) == ["US Dollar", "Euro", "Japanese Yen", "Kuwaiti Dinar"]
    assert 'aria-current="true"' in find_tag(page, f'href="{links["US Dollar"].replace("&", "&amp;")}"')
    euros = client.get(PAGE + links["Euro"]).text
    assert "<span>€10</span>" in euros
    assert "<span>$7</span>" not in euros
    assert parse_forms(euros)[0].fields["currency"] == "EUR"


def test_single_currency_has_no_links(container: Container, client: FlaskClient) -> None:
    update_campaign(container, other_currencies=[])
    assert "currencies" not in client.get(PAGE).text


def test_currency_link_keeps_frequency_language_and_attribution(client: FlaskClient) -> None:
    query = {"frequency": "once", "lang": "ru", "from": "a-token"}
    links = currency_links(client.get(PAGE, query_string=query).text)
    form = parse_forms(client.get(PAGE + links["евро"]).text)[0]
    assert (form.fields["frequency"], form.fields["from"], form.action) == ("once", "a-token", f"{PAGE}?lang=ru")


def test_unavailable_default_frequency_is_replaced(client: FlaskClient) -> None:
    form = get_support_form(client, currency="JPY", frequency="monthly")
    assert (form.fields["frequency"], form.fields["preset_once"]) == ("once", "1000")


@pytest.mark.parametrize(
    ("currency", "typed", "lang", "amount"),
    [
        ("EUR", "12.50", "en", 1250),
        ("EUR", "12,50 €", "ru", 1250),
        ("JPY", "¥1500", "en", 1500),
        ("KWD", "1.505", "en", 1505),
        ("KWD", "1,505", "ru", 1505),
    ],
)
def test_amount_is_parsed_in_the_shown_currency(
    container: Container, client: FlaskClient, currency: str, typed: str, lang: str, amount: int
) -> None:
    form = get_support_form(client, currency=currency, frequency="once", lang=lang)
    assert submit_pledge(client, form, other_amount=typed).status_code == 303
    assert (the_pledge(container).amount_minor, the_pledge(container).currency) == (amount, currency)


@pytest.mark.parametrize(
    ("currency", "typed", "message"),
    [
        ("JPY", "15.00", "Enter a whole amount, such as 500."),
        ("JPY", "299", "The minimum is ¥300."),
        ("KWD", "0.499", f"The minimum is KWD{NBSP}0.500."),
        ("EUR", "5001", "The most you can give here is €5,000. Want to give more? Contact us."),
    ],
)
def test_limits_are_shown_in_the_shown_currency(
    container: Container, client: FlaskClient, currency: str, typed: str, message: str
) -> None:
    form = get_support_form(client, currency=currency, frequency="once")
    response = submit_pledge(client, form, other_amount=typed)
    assert response.status_code == 422
    assert message.replace(NBSP, " ") in visible_text(response.text)
    assert parse_forms(response.text)[0].fields["currency"] == currency
    assert count(container, Pledge) == 0


@pytest.mark.parametrize("currency", ["GBP", "", "eur", "💶"])
def test_a_currency_that_is_not_taken_is_never_mistaken_for_one_that_is(
    container: Container, client: FlaskClient, currency: str
) -> None:
    response = submit_pledge(client, get_support_form(client), currency=currency, other_amount="500")
    assert response.status_code == 422
    assert "We don’t accept this currency here." in visible_text(response.text)
    assert parse_forms(response.text)[0].fields["currency"] == "USD"
    assert count(container, Pledge) == 0


def test_an_amount_in_money_that_is_not_taken_any_more_is_not_shown_as_dollars(client: FlaskClient) -> None:
    fields = get_support_form(client, currency="GBP", frequency="monthly", amount="900").fields
    assert (fields["currency"], fields["preset_monthly"], fields["other_amount"]) == ("USD", "700", "")


def test_fees_are_not_covered_by_default(container: Container, client: FlaskClient) -> None:
    page = client.get(PAGE).text
    assert "checked" not in find_tag(page, 'name="cover_fees"')
    form = parse_forms(page)[0]
    # A browser does not submit an unchecked box.
    form.fields.pop("cover_fees", None)
    submit_pledge(client, form)
    assert the_pledge(container).fees_minor == 0


def test_fees_of_every_preset_are_shown(client: FlaskClient) -> None:
    text = visible_text(client.get(PAGE).text)
    # (200 + 30) / 0.971 is 236.87, (700 + 30) / 0.971 is 751.80, (1500 + 30) / 0.971 is 1575.69.
    assert "This adds $0.37 to $2, $0.52 to $7, $0.76 to $15." in text
    assert "you’ll see the total before you pay" in text
    yen_text = visible_text(client.get(PAGE, query_string={"currency": "JPY"}).text)
    assert "This adds ¥19 to ¥500, ¥38 to ¥1,000, ¥113 to ¥3,000." in yen_text


def test_fee_labels_are_translated(client: FlaskClient) -> None:
    text = visible_text(client.get(PAGE, query_string={"lang": "ru"}).text)
    assert "Будет добавлено 0,37 $ к 2 $, 0,52 $ к 7 $, 0,76 $ к 15 $." in text


def test_currency_without_fee_cover_has_no_checkbox(client: FlaskClient) -> None:
    assert 'name="cover_fees"' not in client.get(PAGE, query_string={"currency": "KWD"}).text


def test_covered_fees_are_shown_at_the_checkout(container: Container, client: FlaskClient) -> None:
    response = submit_pledge(client, get_support_form(client), other_amount="10", cover_fees="yes")
    pledge = the_pledge(container)
    assert (pledge.amount_minor, pledge.fees_minor) == (1000, 61)
    text = visible_text(client.get(path_of(response.headers["Location"])).text)
    assert "$10.61 a month" in text
    assert "This includes $0.61 to cover the fees." in text


def test_fee_choice_is_kept_after_an_error(client: FlaskClient) -> None:
    page = submit_pledge(client, get_support_form(client), other_amount="1", cover_fees="yes").text
    assert "checked" in find_tag(page, 'name="cover_fees"')


def test_unchargeable_amount_suggests_alternatives(
    container: Container, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert AmountNotChargeable.code in FIELD_AND_TEXT_BY_CODE
    monkeypatch.setattr(
        container.gateway, "charge_limits", lambda currency: ChargeLimits(smallest_minor=2000, step_minor=10)
    )
    form = get_support_form(client, currency="KWD", lang="ru")
    text = visible_text(submit_pledge(client, form, other_amount="1,5").text)
    assert "Можно: 2 KWD." in text.replace(NBSP, " ")
    assert count(container, Pledge) == 0
    # A step rules out the last decimal, and the box says the same.
    assert "Не больше 2 знаков" in visible_text(submit_pledge(client, form, other_amount="2,505").text)


def test_gateway_failure_offers_retry_and_reminder(
    container: Container, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(order: object) -> None:
        raise GatewayUnavailable

    form = get_support_form(client, currency="EUR", frequency="once")
    with monkeypatch.context() as patch:
        patch.setattr(container.gateway, "create_checkout", fail)
        page = submit_pledge(client, form, other_amount="12.50").text
    pledge_form, reminder_form = parse_forms(page)
    assert "Try again" in [label for _, _, label in pledge_form.buttons]
    assert 'href="#remind"' in page
    assert " open" in find_tag(page, 'id="remind"')
    chosen = {name: reminder_form.fields[name] for name in ("frequency", "amount", "currency")}
    assert chosen == {"frequency": "once", "amount": "1250", "currency": "EUR"}
    response = client.post(
        reminder_form.action, data=reminder_form.fields | {"email": "reader@example.org", "months": "1"}
    )
    assert response.status_code == 303
    with container.database.read_only() as session:
        reminder = session.scalars(select(Reminder)).one()
    assert (reminder.frequency, reminder.amount_minor, reminder.currency) == ("once", 1250, "EUR")
