"""Confirming a reminder on its page, in a campaign that requires confirmation."""

import pytest
from flask.testing import FlaskClient

from service.container import Container
from service.db.models.reminder import ReminderStatusChange
from service.domain.reminders.status import ReminderEvent
from tests.api.client import count, only_reminder, post_reminder, reminder_token_for, update_campaign
from tests.db.factories import record_delivery
from tests.pages.html import Form, parse_forms, visible_text

READER = "reader@example.org"
CONFIRM = "/confirm"


@pytest.fixture(autouse=True)
def _confirmation_required(container: Container) -> None:
    update_campaign(container, reminder={"choices": [1], "repeats": [1], "confirm": True})


@pytest.fixture
def page(container: Container, client: FlaskClient) -> str:
    """Return the path of the page of a reminder whose confirmation email was sent."""
    post_reminder(client)
    record_delivery(container, only_reminder(container).id, ReminderEvent.REQUEST_CONFIRMATION)
    return f"/r/{reminder_token_for(container, READER)}"


def confirmation_form(client: FlaskClient, page: str) -> Form | None:
    """Return the confirmation form; None if the page has none."""
    return next((form for form in parse_forms(client.get(page).text) if CONFIRM in form.action), None)


def test_page_has_one_confirmation_button(client: FlaskClient, page: str) -> None:
    response = client.get(page)
    assert [form.action for form in parse_forms(response.text)] == [page + CONFIRM, f"{page}/cancel"]
    text = visible_text(response.text)
    assert "Yes, remind me on December 23, 2026" in text
    assert "No, don’t email me" in text
    assert "after 7 days" in text


def test_get_requests_do_not_confirm(container: Container, client: FlaskClient, page: str) -> None:
    changes = count(container, ReminderStatusChange)
    for path in (page, page + CONFIRM):
        client.get(path)
        client.head(path)
        client.options(path)
    assert only_reminder(container).status == "unconfirmed"
    assert count(container, ReminderStatusChange) == changes


@pytest.mark.parametrize(("lang", "title"), [("en", "Your reminder is set"), ("ru", "Напоминание поставлено")])
def test_confirmation_schedules_the_reminder(
    container: Container, client: FlaskClient, page: str, lang: str, title: str
) -> None:
    form = confirmation_form(client, f"{page}?lang={lang}")
    response = client.post(form.action, data=form.fields)
    assert response.status_code == 303
    assert title in visible_text(client.get(response.headers["Location"]).text)
    assert only_reminder(container).status == "scheduled"
    assert confirmation_form(client, page) is None


def test_double_confirmation_succeeds(client: FlaskClient, page: str) -> None:
    assert [client.post(page + CONFIRM).status_code for _ in range(2)] == [303, 303]


def test_confirmation_of_cancelled_reminder_offers_undo(
    container: Container, client: FlaskClient, page: str
) -> None:
    client.post(f"{page}/cancel")
    response = client.post(page + CONFIRM)
    assert (response.status_code, response.headers["Location"]) == (303, page)
    text = visible_text(client.get(page).text)
    assert "Your reminder is cancelled" in text
    assert "Changed your mind?" in text
    client.post(f"{page}/snooze")
    assert only_reminder(container).status == "scheduled"


def test_recurring_reminder_shows_interval_before_confirmation(container: Container, client: FlaskClient) -> None:
    post_reminder(client, repeat=True)
    page = f"/r/{reminder_token_for(container, READER)}"
    assert "on December 23, 2026, and then every month, with a reminder" in visible_text(client.get(page).text)


def test_reminder_without_recorded_email_can_be_confirmed(container: Container, client: FlaskClient) -> None:
    post_reminder(client)
    page = f"/r/{reminder_token_for(container, READER)}"
    assert confirmation_form(client, page) is not None
    assert client.post(page + CONFIRM).status_code == 303
    assert only_reminder(container).awaits_confirmation is False


def test_support_page_asks_for_confirmation_by_email(client: FlaskClient) -> None:
    form = parse_forms(client.get("/support/default").text)[1]
    response = client.post(form.action, data=form.fields | {"email": READER})
    assert response.status_code == 303
    text = visible_text(client.get(response.headers["Location"]).text)
    assert "Please confirm in the email we’ve just sent you." in text
    assert "December 23, 2026" in text
    assert "Confirmed a reminder from us before?" in text
    assert "is set" not in text


def test_invalid_link_does_not_confirm(client: FlaskClient, page: str) -> None:
    assert client.post(f"{page[:-4]}AAAA{CONFIRM}").status_code == 404
