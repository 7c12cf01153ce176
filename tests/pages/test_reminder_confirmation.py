"""A campaign that has its readers confirm: the page asks, only its button answers, and no JavaScript is needed."""

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
def _confirming(container: Container) -> None:
    update_campaign(container, reminder={"choices": [1], "repeats": [1], "confirm": True})


@pytest.fixture
def page(container: Container, client: FlaskClient) -> str:
    """Return the path of the page of a reminder whose reader has been asked."""
    post_reminder(client)
    record_delivery(container, only_reminder(container).id, ReminderEvent.REQUEST_CONFIRMATION)
    return f"/r/{reminder_token_for(container, READER)}"


def question(client: FlaskClient, page: str) -> Form | None:
    """Return the form that confirms, if the page has one."""
    return next((form for form in parse_forms(client.get(page).text) if CONFIRM in form.action), None)


def test_it_asks_with_one_button_that_says_what_it_does(client: FlaskClient, page: str) -> None:
    response = client.get(page)
    assert [form.action for form in parse_forms(response.text)] == [page + CONFIRM, f"{page}/cancel"]
    said = visible_text(response.text)
    assert "Yes, remind me on December 23, 2026" in said
    assert "No, do not write to me" in said
    assert "after 7 days" in said


def test_looking_confirms_nothing(container: Container, client: FlaskClient, page: str) -> None:
    moves = count(container, ReminderStatusChange)
    for path in (page, page + CONFIRM):
        client.get(path)
        client.head(path)
        client.options(path)
    assert only_reminder(container).status == "unconfirmed"
    assert count(container, ReminderStatusChange) == moves


@pytest.mark.parametrize(("lang", "title"), [("en", "Your reminder is set"), ("ru", "Напоминание поставлено")])
def test_the_button_sets_the_reminder_and_says_so(
    container: Container, client: FlaskClient, page: str, lang: str, title: str
) -> None:
    form = question(client, f"{page}?lang={lang}")
    response = client.post(form.action, data=form.fields)
    assert response.status_code == 303
    assert title in visible_text(client.get(response.headers["Location"]).text)
    assert only_reminder(container).status == "scheduled"
    assert question(client, page) is None


def test_pressing_it_twice_is_no_fault(client: FlaskClient, page: str) -> None:
    assert [client.post(page + CONFIRM).status_code for _ in range(2)] == [303, 303]


def test_who_has_cancelled_meanwhile_is_shown_how_to_undo_that(
    container: Container, client: FlaskClient, page: str
) -> None:
    client.post(f"{page}/cancel")
    response = client.post(page + CONFIRM)
    assert (response.status_code, response.headers["Location"]) == (303, page)
    said = visible_text(client.get(page).text)
    assert "Your reminder is cancelled" in said
    assert "Changed your mind?" in said
    client.post(f"{page}/snooze")
    assert only_reminder(container).status == "scheduled"


def test_one_that_repeats_says_so_before_it_is_confirmed(container: Container, client: FlaskClient) -> None:
    post_reminder(client, repeat=True)
    page = f"/r/{reminder_token_for(container, READER)}"
    assert "on December 23, 2026, and then every month, about supporting" in visible_text(client.get(page).text)


def test_a_question_that_is_not_on_record_as_sent_can_be_answered(
    container: Container, client: FlaskClient
) -> None:
    post_reminder(client)
    page = f"/r/{reminder_token_for(container, READER)}"
    assert question(client, page) is not None
    assert client.post(page + CONFIRM).status_code == 303
    assert only_reminder(container).awaits_confirmation is False


def test_after_asking_the_reader_is_sent_to_their_mail(client: FlaskClient) -> None:
    form = parse_forms(client.get("/support/default").text)[1]
    response = client.post(form.action, data=form.fields | {"email": READER})
    assert response.status_code == 303
    said = visible_text(client.get(response.headers["Location"]).text)
    assert "Please confirm in the mail that we have just sent you." in said
    assert "December 23, 2026" in said
    assert "If you have confirmed a reminder from us before" in said
    assert "is set" not in said


def test_a_link_that_is_no_good_confirms_nothing(client: FlaskClient, page: str) -> None:
    assert client.post(f"{page[:-4]}AAAA{CONFIRM}").status_code == 404
