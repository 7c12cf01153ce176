"""The reminder form of the support page; no URL contains the address."""

import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from service.container import Container
from service.db.models.reminder import Reminder
from service.pages.reminders import consent_version
from tests.api.client import count, only_reminder, update_campaign
from tests.clock import FakeClock
from tests.pages.accounts import create_paid_pledge, pledge_link, sign_in
from tests.pages.html import Form, find_tag, parse_forms, visible_text, without_signature

PAGE = "/support/default"


def reminder_form(client: FlaskClient, **query: str) -> Form:
    return parse_forms(client.get(PAGE, query_string=query).text)[1]


def submit_reminder(client: FlaskClient, form: Form, **fields: Any) -> TestResponse:
    return client.post(form.action, data=form.fields | fields)


def test_button_names_the_interval(client: FlaskClient) -> None:
    assert reminder_form(client).buttons == [("months", "1", "Remind me next month")]


def test_reminder_is_created_and_its_date_shown(container: Container, client: FlaskClient) -> None:
    response = submit_reminder(client, reminder_form(client), email="reader@example.org", months="1")
    expected = "/support/default/reminder-set?due_on=2026-12-23&lang=en"
    assert without_signature(response.headers["Location"]) == expected
    page = visible_text(client.get(response.headers["Location"]).text)
    assert "Thank you! Your reminder is set." in page
    assert "December 23, 2026" in page
    reminder = only_reminder(container)
    assert reminder.due_on == datetime.date(2026, 12, 23)
    assert reminder.page_url == "http://desk.test/support/default"


def test_choice_in_query_string_is_stored_with_the_reminder(container: Container, client: FlaskClient) -> None:
    submit_reminder(client, reminder_form(client, frequency="annual", amount="5000"), email="reader@example.org")
    assert (only_reminder(container).frequency, only_reminder(container).amount_minor) == ("annual", 5000)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, (None, None)),
        ({"frequency": "weekly", "amount": "500"}, (None, None)),
        ({"frequency": "monthly", "amount": "1"}, ("monthly", None)),
        ({"frequency": "monthly", "amount": "lots"}, ("monthly", None)),
    ],
)
def test_unavailable_choice_does_not_prevent_the_reminder(
    container: Container, client: FlaskClient, query: dict[str, str], expected: tuple[str | None, int | None]
) -> None:
    assert submit_reminder(client, reminder_form(client, **query), email="reader@example.org").status_code == 303
    assert (only_reminder(container).frequency, only_reminder(container).amount_minor) == expected


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "Enter your email address."),
        ("  ", "Enter your email address."),
        ("reader@", "Enter an email address like"),
        ("a@b.example\nBcc: c@d.example", "Enter an email address like"),
        ("a" * 400 + "@example.org", "Enter an email address like"),
    ],
)
def test_invalid_address_shows_error_and_keeps_input(
    container: Container, client: FlaskClient, typed: str, message: str
) -> None:
    response = submit_reminder(
        client, reminder_form(client, frequency="annual", amount="5000"), email=typed, months="1"
    )
    assert response.status_code == 422
    assert message in visible_text(response.text)
    pledge_form, submitted_form = parse_forms(response.text)
    assert submitted_form.fields["email"] == typed
    assert (submitted_form.fields["frequency"], submitted_form.fields["amount"]) == ("annual", "5000")
    assert (pledge_form.fields["frequency"], pledge_form.fields["preset_annual"]) == ("annual", "5000")
    assert "<details" in response.text
    assert " open>" in find_tag(response.text, 'id="remind"')
    assert 'aria-describedby="email-complaint email-hint"' in find_tag(response.text, 'name="email"')
    assert count(container, Reminder) == 0


@pytest.mark.parametrize("months", ["2", "0", "-1", "99", "soon"])
def test_unavailable_interval_is_rejected(container: Container, client: FlaskClient, months: str) -> None:
    response = submit_reminder(client, reminder_form(client), email="reader@example.org", months=months)
    assert response.status_code == 422
    assert "Choose when we should remind you." in visible_text(response.text)
    assert count(container, Reminder) == 0


def test_disabled_reminders_have_no_form(container: Container, client: FlaskClient) -> None:
    update_campaign(container, reminder={"enabled": False, "choices": [1]})
    assert len(parse_forms(client.get(PAGE).text)) == 1
    assert client.post(f"{PAGE}/reminder", data={"email": "reader@example.org"}).status_code == 422


def test_created_page_is_translated(client: FlaskClient) -> None:
    response = submit_reminder(client, reminder_form(client, lang="ru"), email="reader@example.org")
    page = visible_text(client.get(response.headers["Location"]).text)
    assert "Спасибо! Мы вам напомним." in page
    assert "23 декабря 2026 г." in page


@pytest.mark.parametrize("due_on", ["", "tomorrow", "2026-12-23", "<b>"])
def test_page_without_a_reminder_leads_to_the_form(client: FlaskClient, clock: FakeClock, due_on: str) -> None:
    response = client.get(f"{PAGE}/reminder-set", query_string={"due_on": due_on, "lang": "en"})
    assert (response.status_code, response.headers["Location"]) == (303, f"{PAGE}?lang=en")
    created = submit_reminder(client, reminder_form(client), email="reader@example.org").headers["Location"]
    assert client.get(created).status_code == 200
    # The signature is that of one outcome, and for an hour.
    for other in (created.replace("12-23", "12-24"), f"{created}&moved=yes"):
        assert client.get(other).status_code == 303
    clock.advance(hours=1, seconds=1)
    assert client.get(created).status_code == 303


def test_response_is_the_same_for_a_known_address(container: Container, client: FlaskClient) -> None:
    form = reminder_form(client)
    first = submit_reminder(client, form, email="reader@example.org")
    second = submit_reminder(client, form, email="reader@example.org")
    assert first.headers["Location"] == second.headers["Location"]
    with container.database.read_only() as session:
        assert len(session.scalars(select(Reminder)).all()) == 1


def test_consent_version_matches_the_widget(container: Container, client: FlaskClient) -> None:
    # The expected value comes from versionOf("en", …) of the widget, run on the same sentence.
    assert consent_version("en", "We’ll only use your email for this reminder.") == "en-8b9f8d73"
    submit_reminder(client, reminder_form(client), email="reader@example.org")
    assert only_reminder(container).consent_version == "en-8b9f8d73"


def test_active_supporter_who_is_signed_in_is_not_offered_a_reminder(
    container: Container, client: FlaskClient
) -> None:
    assert 'id="remind"' in client.get(PAGE).text
    create_paid_pledge(container, client, frequency="once", amount=500)
    sign_in(container, client)
    assert 'id="remind"' in client.get(PAGE).text
    create_paid_pledge(container, client, frequency="monthly", amount=500)
    assert 'id="remind"' not in client.get(PAGE).text
    client.post("/me/leave")
    assert 'id="remind"' in client.get(PAGE).text


def test_supporter_finds_the_account(container: Container, client: FlaskClient) -> None:
    assert "Already a supporter? Manage your support" in visible_text(client.get(PAGE).text)
    assert '<a href="/me?lang=ru">' in client.get(f"{PAGE}?lang=ru").text
    pledge_id = create_paid_pledge(container, client)
    assert "Manage your support" in visible_text(client.get(pledge_link(container, pledge_id)).text)
