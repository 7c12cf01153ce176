"""A reminder on a day that the reader picks, on the pages: without scripts, with errors beside the field."""

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.container import Container
from service.db.models.reminder import Reminder
from tests.api.client import count, only_reminder, post_reminder, reminder_token_for, update_campaign
from tests.pages.html import find_tag, parse_forms, visible_text

READER = "reader@example.org"
PAGE = "/support/default"
OUT_OF_RANGE = "Choose a day from 24 November 2026 to 23 November 2027."


@pytest.fixture
def _campaign(container: Container) -> None:
    update_campaign(container, reminder={"pick_date": True}, lang="en-GB")


def submit(client: FlaskClient, **fields: str) -> TestResponse:
    form = parse_forms(client.get(PAGE).text)[1]
    return client.post(form.action, data=form.fields | {"email": READER} | fields)


@pytest.mark.usefixtures("_campaign")
def test_form_offers_a_day_within_a_year(client: FlaskClient) -> None:
    page = client.get(PAGE).text
    assert "On a day I choose" in visible_text(page)
    field = find_tag(page, 'id="due_on"')
    for attribute in ('type="date"', 'min="2026-11-24"', 'max="2027-11-23"', 'value=""'):
        assert attribute in field


def test_no_day_is_offered_where_the_campaign_has_none(container: Container, client: FlaskClient) -> None:
    assert 'name="due_on"' not in client.get(PAGE).text
    post_reminder(client)
    assert 'name="due_on"' not in client.get(f"/r/{reminder_token_for(container, READER)}").text


@pytest.mark.usefixtures("_campaign")
def test_reminder_is_set_for_the_picked_day(container: Container, client: FlaskClient) -> None:
    response = submit(client, months="day", due_on="2027-01-02")
    assert response.status_code == 303
    assert "2 January 2027" in visible_text(client.get(response.headers["Location"]).text)
    assert str(only_reminder(container).due_on) == "2027-01-02"


@pytest.mark.usefixtures("_campaign")
def test_day_counts_only_with_its_choice(container: Container, client: FlaskClient) -> None:
    assert submit(client, months="1", due_on="2027-01-02").status_code == 303
    assert str(only_reminder(container).due_on) == "2026-12-23"


@pytest.mark.usefixtures("_campaign")
@pytest.mark.parametrize("typed", ["", "soon", "2026-11-23", "2027-11-24", "2027-02-30"])
def test_missing_or_distant_day_is_refused_beside_its_field(
    container: Container, client: FlaskClient, typed: str
) -> None:
    response = submit(client, months="day", due_on=typed)
    assert response.status_code == 422
    assert visible_text(response.text).count(OUT_OF_RANGE) == 2
    field = find_tag(response.text, 'id="due_on"')
    assert 'aria-invalid="true"' in field
    assert f'value="{typed}"' in field
    assert "checked" in find_tag(response.text, 'id="remind-day"')
    assert f'value="{READER}"' in find_tag(response.text, 'id="email"')
    assert "open" in find_tag(response.text, 'id="remind"')
    assert count(container, Reminder) == 0


def test_day_is_refused_where_none_is_offered(container: Container, client: FlaskClient) -> None:
    assert submit(client, months="day", due_on="2027-01-02").status_code == 422
    assert count(container, Reminder) == 0


@pytest.mark.usefixtures("_campaign")
def test_reminder_is_moved_to_a_day(container: Container, client: FlaskClient) -> None:
    post_reminder(client, timezone="Pacific/Auckland")
    page = client.get(f"/r/{reminder_token_for(container, READER)}").text
    [form] = [form for form in parse_forms(page) if "due_on" in form.fields]
    # It is the 23rd in Auckland, too.
    assert 'min="2026-11-24"' in find_tag(page, 'id="due_on"')
    response = client.post(form.action, data={"due_on": "2027-03-04"})
    assert response.status_code == 303
    assert str(only_reminder(container).due_on) == "2027-03-04"
    for typed in ("", "2026-11-23"):
        refused = client.post(form.action, data={"due_on": typed})
        assert refused.status_code == 422
        assert visible_text(refused.text).count(OUT_OF_RANGE) == 2
        # Its forms still lead to the reminder.
        assert {form.action for form in parse_forms(refused.text)} == {form.action for form in parse_forms(page)}
    assert str(only_reminder(container).due_on) == "2027-03-04"
