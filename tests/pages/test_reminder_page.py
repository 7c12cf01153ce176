"""The page of a reminder: its status, and the actions snooze and cancel."""

import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import ReminderStatus
from service.container import Container
from service.db.models.reminder import Reminder, ReminderStatusChange
from tests.api.client import count, only_reminder, post_reminder, reminder_token_for, update_campaign
from tests.clock import FakeClock
from tests.pages.html import BROWSER, parse_forms, visible_text, without_signature

READER = "reader@example.org"
SNOOZE, CANCEL = "/snooze", "/cancel"


@pytest.fixture
def page(container: Container, client: FlaskClient) -> str:
    """Return the path of the page of a reminder created on 23 November 2026."""
    post_reminder(client, email=READER, frequency="monthly", amount=500)
    return f"/r/{reminder_token_for(container, READER)}"


def update_reminder(container: Container, **values: Any) -> None:
    """Set columns of the only reminder."""
    with container.database.transaction() as session:
        reminder = session.scalars(select(Reminder)).one()
        for name, value in values.items():
            setattr(reminder, name, value)


def test_page_shows_due_date_and_actions(client: FlaskClient, page: str) -> None:
    response = client.get(page)
    text = visible_text(response.text)
    assert "We’ll send you one email on December 23, 2026 about supporting The Harbour Lantern." in text
    assert [form.action for form in parse_forms(response.text)] == [page + SNOOZE, page + CANCEL]
    assert 'href="http://desk.test/support/default?frequency=monthly&amp;amount=500&amp;from=' in response.text
    assert "Give $5 a month" in text
    assert "Remind me next month" in text


def test_get_requests_do_not_change_the_reminder(container: Container, client: FlaskClient, page: str) -> None:
    before, changes = only_reminder(container), count(container, ReminderStatusChange)
    for path in (page, page + SNOOZE, page + CANCEL):
        client.get(path)
        client.head(path)
        client.options(path)
    after = only_reminder(container)
    assert (after.status, after.due_at, after.asked_at) == (before.status, before.due_at, before.asked_at)
    assert count(container, ReminderStatusChange) == changes


def test_snooze_counts_from_today(container: Container, client: FlaskClient, clock: FakeClock, page: str) -> None:
    clock.advance(days=10)
    response = client.post(page + SNOOZE, data={"months": "1"})
    assert without_signature(response.headers["Location"]) == f"{page}?moved=yes"
    assert only_reminder(container).due_on == datetime.date(2027, 1, 3)
    assert "January 3, 2027" in visible_text(client.get(page).text)


@pytest.mark.parametrize(
    ("lang", "campaign_lang", "moved"),
    [
        ("en", "en", "Moved to January 3"),
        ("en", "en-GB", "Moved to 3 January"),
        ("ru", "en-GB", "Перенесено на 3 января"),
    ],
)
def test_moved_reminder_says_so(
    container: Container,
    client: FlaskClient,
    clock: FakeClock,
    page: str,
    lang: str,
    campaign_lang: str,
    moved: str,
) -> None:
    update_campaign(container, lang=campaign_lang)
    assert 'role="status"' not in client.get(page).text
    clock.advance(days=10)
    response = client.post(f"{page}{SNOOZE}?lang={lang}", data={"months": "1"})
    html = client.get(response.headers["Location"]).text
    assert f'<p class="done" role="status">{moved}</p>' in html.replace("\N{NO-BREAK SPACE}", " ")
    assert "Moved to" not in client.get(f"{page}?moved=yes&lang=en").text


def test_reminder_moved_by_a_year_has_the_year(container: Container, client: FlaskClient) -> None:
    update_campaign(container, reminder={"enabled": True, "choices": [1, 12]})
    post_reminder(client, email=READER)
    page = f"/r/{reminder_token_for(container, READER)}"
    response = client.post(page + SNOOZE, data={"months": "12"})
    assert "Moved to November 23, 2027" in visible_text(client.get(response.headers["Location"]).text)


def test_cancelled_reminder_was_not_moved(client: FlaskClient, page: str) -> None:
    moved = client.post(page + SNOOZE).headers["Location"]
    client.post(page + CANCEL)
    assert "Moved to" not in client.get(moved).text
    # What was cancelled is asked for again.
    assert client.post(page + SNOOZE).headers["Location"] == page


def test_cancellation_can_be_undone(container: Container, client: FlaskClient, page: str) -> None:
    response = client.post(page + CANCEL)
    assert (response.status_code, response.headers["Location"]) == (303, page)
    after = client.get(page).text
    assert "Your reminder is cancelled" in visible_text(after)
    assert "Changed your mind?" in visible_text(after)
    [undo] = parse_forms(after)
    assert only_reminder(container).status == "cancelled"
    [(name, value, _)] = undo.buttons
    client.post(undo.action, data=undo.fields | {name: value})
    assert only_reminder(container).status == "scheduled"
    assert "We’ll remind you" in visible_text(client.get(page).text)


def test_language_parameter_is_kept(client: FlaskClient, page: str) -> None:
    [snooze, cancel] = parse_forms(client.get(f"{page}?lang=ru").text)
    for form, done in ((snooze, "moved=yes&"), (cancel, "")):
        assert without_signature(client.post(form.action).headers["Location"]) == f"{page}?{done}lang=ru"


def test_double_cancellation_succeeds(container: Container, client: FlaskClient, page: str) -> None:
    assert [client.post(page + CANCEL).status_code for _ in range(2)] == [303, 303]
    assert only_reminder(container).status == "cancelled"


@pytest.mark.parametrize("status", ReminderStatus)
@pytest.mark.parametrize("lang", ["en", "ru"])
def test_every_status_has_texts_in_every_language(
    container: Container, client: FlaskClient, page: str, status: ReminderStatus, lang: str
) -> None:
    sent_at = container.clock() if status == ReminderStatus.SENT else None
    update_reminder(container, status=status, lang=lang, sent_at=sent_at)
    response = client.get(page)
    assert response.status_code == 200
    assert f'<html lang="{lang}"' in response.text
    can_cancel = any(form.action.endswith(CANCEL) for form in parse_forms(response.text))
    assert can_cancel == (status != "cancelled")


@pytest.mark.parametrize(
    ("status", "button"),
    [
        (ReminderStatus.SCHEDULED, "Cancel the reminder"),
        # Nothing is left to cancel but further emails.
        (ReminderStatus.SENT, "Cancel, and don’t email me again"),
        (ReminderStatus.FAILED, "Cancel, and don’t email me again"),
    ],
)
def test_button_says_what_is_left_to_cancel(
    container: Container, client: FlaskClient, page: str, status: ReminderStatus, button: str
) -> None:
    update_reminder(container, status=status, sent_at=container.clock())
    form = parse_forms(client.get(page).text)[-1]
    assert form.action.endswith(CANCEL)
    assert [label for _, _, label in form.buttons] == [button]


def test_skipped_reminder_shows_suppression(container: Container, client: FlaskClient, page: str) -> None:
    update_reminder(container, status=ReminderStatus.SKIPPED, reason="already_gave")
    assert "No reminder needed" in visible_text(client.get(page).text)
    update_reminder(container, status=ReminderStatus.SKIPPED, reason="suppressed: complaint")
    text = visible_text(client.get(page).text)
    assert "We can’t email this address" in text
    assert "given" not in text


def test_sent_date_is_in_the_time_zone_of_the_reminder(
    container: Container, client: FlaskClient, page: str
) -> None:
    sent_at = datetime.datetime(2026, 12, 23, 20, 0, tzinfo=datetime.UTC)
    update_reminder(container, status=ReminderStatus.SENT, sent_at=sent_at, timezone="Pacific/Auckland")
    assert "We emailed you on December 24, 2026." in visible_text(client.get(page).text)


def test_every_interval_has_a_snooze_button(container: Container, client: FlaskClient) -> None:
    update_campaign(container, reminder={"enabled": True, "choices": [1, 6]})
    post_reminder(client, email=READER)
    page = f"/r/{reminder_token_for(container, READER)}"
    snooze = parse_forms(client.get(page).text)[0]
    assert [label for _, _, label in snooze.buttons] == ["Remind me next month", "Remind me in 6 months"]
    client.post(snooze.action, data={"months": "6"})
    assert only_reminder(container).due_on == datetime.date(2027, 5, 23)


@pytest.mark.parametrize("months", ["2", "", "soon", "-1"])
def test_unavailable_interval_is_rejected(
    container: Container, client: FlaskClient, page: str, months: str
) -> None:
    before = only_reminder(container).due_at
    assert client.post(page + SNOOZE, data={"months": months}).status_code == 422
    assert only_reminder(container).due_at == before


def test_disabled_reminders_can_still_be_cancelled(container: Container, client: FlaskClient, page: str) -> None:
    update_campaign(container, reminder={"enabled": False, "choices": [1]})
    assert [form.action for form in parse_forms(client.get(page).text)] == [page + CANCEL]
    assert client.post(page + CANCEL).status_code == 303


def test_invalid_or_expired_link_is_not_found(client: FlaskClient, clock: FakeClock, page: str) -> None:
    for path in (page[:-4] + "AAAA", "/r/x", "/r/%00"):
        for response in (client.get(path, headers=BROWSER), client.post(path + CANCEL, headers=BROWSER)):
            assert response.status_code == 404
            assert "This reminder link doesn’t work" in visible_text(response.text)
    clock.advance(days=4000)
    assert client.get(page).status_code == 404


def test_page_is_not_cached_indexed_or_leaked_by_referrer(client: FlaskClient, page: str) -> None:
    headers = client.get(page).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Robots-Tag"] == "noindex"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_page_hides_the_address(client: FlaskClient, page: str) -> None:
    assert "reader@" not in client.get(page).text


def test_sent_reminder_can_be_cancelled(container: Container, client: FlaskClient, page: str) -> None:
    update_reminder(container, status=ReminderStatus.SENT, sent_at=container.clock())
    form = next(form for form in parse_forms(client.get(page).text) if form.action.endswith(CANCEL))
    assert client.post(form.action, data=form.fields).status_code == 303
    assert "Your reminder is cancelled" in client.get(page).text
