"""The reminder form of a campaign with several single and recurring reminders."""

import datetime
import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.container import Container
from service.db.models.reminder import Reminder
from service.pages.reminders import consent_version
from tests.api.client import count, only_reminder, reminder_token_for, update_campaign
from tests.pages.html import find_tag, parse_forms, visible_text

PAGE = "/support/default"
READER = "reader@example.org"
CHOICES = {"1": "Next month", "3": "In 3 months", "12": "In a year"}
REPEATS = {"every-1": "Every month, until I cancel", "every-3": "Every 3 months, until I cancel"}


@pytest.fixture(autouse=True)
def _reminder_choices(container: Container) -> None:
    update_campaign(container, reminder={"choices": [1, 3, 12], "repeats": [1, 3]})


def choices_on(page: str) -> dict[str, str]:
    """Return the labels of the form's choices by value."""
    return dict(re.findall(r'name="months" value="([^"]+)"[^>]*><span>([^<]+)<', page))


def submit_reminder(client: FlaskClient, *, lang: str = "en", **fields: str) -> TestResponse:
    form = parse_forms(client.get(PAGE, query_string={"lang": lang}).text)[1]
    return client.post(form.action, data=form.fields | {"email": READER} | fields)


def test_list_has_every_choice_with_the_first_selected(client: FlaskClient) -> None:
    page = client.get(PAGE).text
    assert choices_on(page) == CHOICES | REPEATS
    form = parse_forms(page)[1]
    assert form.fields["months"] == "1"
    assert "Remind me" in visible_text(page)
    assert "we will write to you once" not in visible_text(page)


def test_choices_are_translated(client: FlaskClient) -> None:
    labels = choices_on(client.get(f"{PAGE}?lang=ru").text)
    assert labels["3"] == "Через 3 месяца"
    assert labels["every-3"] == "Каждые 3 месяца, пока не отменю"


@pytest.mark.parametrize(
    ("value", "months", "every", "due_on"),
    [("3", 3, None, "2027-02-23"), ("12", 12, None, "2027-11-23"), ("every-3", 3, 3, "2027-02-23")],
)
def test_chosen_reminder_is_created(
    container: Container, client: FlaskClient, value: str, months: int, every: int | None, due_on: str
) -> None:
    response = submit_reminder(client, months=value)
    assert response.status_code == 303
    reminder = only_reminder(container)
    assert (reminder.months, reminder.every_months) == (months, every)
    assert reminder.due_on == datetime.date.fromisoformat(due_on)
    text = visible_text(client.get(response.headers["Location"]).text)
    assert "Look out for our email on " in text


@pytest.mark.parametrize("value", ["2", "every-12", "every-", "every-x", "every-every-1", "-1", "1-every"])
def test_unavailable_choice_shows_error_beside_the_list(
    container: Container, client: FlaskClient, value: str
) -> None:
    response = submit_reminder(client, months=value)
    assert response.status_code == 422
    assert "Choose when we should remind you." in visible_text(response.text)
    assert 'aria-describedby="months-complaint ' in response.text
    assert 'href="#remind-1"' in response.text
    assert count(container, Reminder) == 0


def test_choice_is_kept_after_an_invalid_address(client: FlaskClient) -> None:
    page = submit_reminder(client, email="reader@", months="every-3").text
    assert parse_forms(page)[1].fields["months"] == "every-3"
    assert "checked" in find_tag(page, 'value="every-3"')


def test_consent_text_covers_recurring_reminders(container: Container, client: FlaskClient) -> None:
    submit_reminder(client, months="every-1")
    consent_text = "We’ll only use your email for these reminders."
    assert consent_text in visible_text(client.get(PAGE).text)
    assert only_reminder(container).consent_version == consent_version("en", consent_text)


def test_reminder_page_shows_interval_and_scope_of_cancellation(container: Container, client: FlaskClient) -> None:
    submit_reminder(client, months="every-3")
    page = f"/r/{reminder_token_for(container, READER)}"
    text = visible_text(client.get(page).text)
    assert "We’ll email you on February 23, 2027" in text
    assert "and then every 3 months until you cancel." in text
    assert "The others will follow from its new date, every 3 months." in text
    assert "Cancel this reminder and all that follow" in text
    assert " once " not in text
    russian_text = visible_text(client.get(f"{page}?lang=ru").text)
    assert "каждые 3 месяца" in russian_text
    assert "Отменить это напоминание и все следующие" in russian_text


def test_snooze_keeps_recurrence_and_cancellation_ends_it(container: Container, client: FlaskClient) -> None:
    submit_reminder(client, months="every-1")
    page = f"/r/{reminder_token_for(container, READER)}"
    client.post(f"{page}/snooze", data={"months": "3"})
    assert (only_reminder(container).every_months, str(only_reminder(container).due_on)) == (1, "2027-02-23")
    assert "and then every month until you cancel." in visible_text(client.get(page).text)
    client.post(f"{page}/cancel")
    assert "every month" not in visible_text(client.get(page).text)
