"""Reminders with an amount in one of several currencies."""

from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from service.container import Container
from service.db.models.reminder import Reminder
from service.domain.ports import ChargeLimits
from service.domain.reminders.reminders import reminder_preference
from tests.api.client import (
    assert_problem,
    count,
    only_reminder,
    post_reminder,
    reminder_token_for,
    update_campaign,
)
from tests.currencies import DINARS, EUROS, YEN


@pytest.fixture(autouse=True)
def _several_currencies(container: Container) -> None:
    update_campaign(container, other_currencies=[EUROS, YEN, DINARS])


@pytest.mark.parametrize(("currency", "amount"), [("EUR", 1250), ("JPY", 1500), ("KWD", 1505)])
def test_reminder_stores_amount_with_currency(
    client: FlaskClient, container: Container, currency: str, amount: int
) -> None:
    assert post_reminder(client, frequency="once", amount=amount, currency=currency).status_code == 201
    stored = only_reminder(container)
    assert (stored.amount_minor, stored.currency) == (amount, currency)


def test_currency_defaults_to_campaign(client: FlaskClient, container: Container) -> None:
    post_reminder(client, frequency="once", amount=500)
    assert only_reminder(container).currency == "USD"


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"currency": "GBP", "amount": 500, "frequency": "once"}, "currency_not_accepted", "currency"),
        ({"currency": "GBP"}, "currency_not_accepted", "currency"),
        ({"currency": "JPY", "amount": 500, "frequency": "monthly"}, "frequency_not_offered", "frequency"),
        ({"currency": "JPY", "amount": 299, "frequency": "once"}, "amount_below_minimum", "amount"),
        ({"currency": "EUR", "amount": 500_001, "frequency": "once"}, "amount_above_maximum", "amount"),
        ({"currency": "usd"}, "validation_failed", "currency"),
    ],
)
def test_reminder_with_unoffered_currency_is_rejected(
    client: FlaskClient, container: Container, changes: dict[str, object], code: str, field: str
) -> None:
    assert_problem(post_reminder(client, **changes), 422, code, field=field)
    assert count(container, Reminder) == 0


def test_reminder_with_unchargeable_amount_is_rejected(
    client: FlaskClient, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container.gateway, "charge_limits", lambda currency: ChargeLimits(step_minor=10))
    refused = post_reminder(client, frequency="once", amount=1505, currency="KWD")
    assert_problem(refused, 422, "amount_not_chargeable", field="amount")
    assert count(container, Reminder) == 0


def test_reminder_page_shows_and_links_amount(client: FlaskClient, container: Container) -> None:
    post_reminder(client, frequency="once", amount=1500, currency="KWD")
    page = client.get(f"/r/{reminder_token_for(container, 'reader@example.org')}").text
    assert "KWD\N{NO-BREAK SPACE}1.500 once" in page
    [link] = [part.split('"')[0] for part in page.split('href="') if "amount=" in part.split('"')[0]]
    query = parse_qs(urlsplit(link.replace("&amp;", "&")).query)
    assert (query["frequency"], query["amount"], query["currency"]) == (["once"], ["1500"], ["KWD"])


def test_amount_in_removed_currency_is_not_preselected(client: FlaskClient, container: Container) -> None:
    post_reminder(client, frequency="once", amount=1500, currency="KWD")
    update_campaign(container, other_currencies=[EUROS])
    with container.database.read_only() as session:
        reminder = session.get_one(Reminder, only_reminder(container).id)
        preference = reminder_preference(reminder, reminder.campaign)
        assert preference.money is None
        assert [(change.change, change.currency) for change in preference.changes] == [
            ("currency", reminder.currency)
        ]
