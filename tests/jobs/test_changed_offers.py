"""A reminder is held against what its campaign offers today: in the email, on its page, and when it repeats."""

from email import message_from_bytes
from email.policy import default as modern
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import Frequency, ReminderStatus
from service.container import Container
from service.db.models.admin import AuditEntry
from service.db.models.email import Suppression
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.domain.campaigns.definitions import get_campaign
from service.domain.campaigns.preferences import offered_preference
from service.domain.money import Money
from service.domain.offer_changes import describe_changes
from service.domain.ports import ChargeLimits
from service.domain.reminders.waiting import cancel_waiting_reminders
from service.gateways.email.renderer import EmailRenderer
from service.pages.translations import Texts
from tests.api.client import (
    assert_problem,
    auth_headers,
    campaign_definition,
    count,
    only_reminder,
    post_reminder,
    reminder_token_for,
    update_campaign,
)
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer, run_send_reminders
from tests.pages.html import visible_text

READER = "reader@example.org"
ONCE = {"frequency": "once", "presets": [500, 1500], "default": 1500}
MONTHLY = {"frequency": "monthly", "presets": [500, 1500], "default": 500}
ALL = [ONCE, MONTHLY, {"frequency": "annual", "presets": [5000], "default": 5000}]
FROM_TEN = [option | {"minimum": 1000, "presets": [5000], "default": 5000} for option in ALL]
UP_TO_SIX = [option | {"maximum": 600, "presets": [500], "default": 500} for option in ALL]

# (the reader's choice, what the campaign offers today, the English and the Russian sentence, the frequency kept)
CHANGES = [
    (
        {"frequency": "monthly", "amount": 1500},
        {"frequencies": [ONCE], "default_frequency": "once"},
        "Monthly support isn’t offered right now.",
        "Ежемесячная поддержка сейчас недоступна.",
        None,
    ),
    (
        {"frequency": "annual", "amount": 5000},
        {"frequencies": [ONCE, MONTHLY], "default_frequency": "once"},
        "Annual support isn’t offered right now.",
        "Ежегодная поддержка сейчас недоступна.",
        None,
    ),
    (
        {"frequency": "once", "amount": 500},
        {"frequencies": [MONTHLY], "default_frequency": "monthly"},
        "One-time support isn’t offered right now.",
        "Разовая поддержка сейчас недоступна.",
        None,
    ),
    (
        {"frequency": "monthly", "amount": 200},
        {"frequencies": FROM_TEN},
        "The minimum is now $10.",
        "Теперь минимальная сумма — 10",
        "monthly",
    ),
    (
        {"frequency": "once", "amount": 5000},
        {"frequencies": UP_TO_SIX},
        "The most you can give here is now $6.",
        "Теперь максимальная сумма — 6",
        "once",
    ),
    (
        {"frequency": "monthly", "amount": 500},
        {"currency": "EUR"},
        "Support in USD isn’t offered right now.",
        "Поддержка в валюте USD сейчас недоступна.",
        "monthly",
    ),
]


def change_campaign(container: Container, **changes: Any) -> None:
    """Change the demo campaign, also for requests that would find it in the cache."""
    update_campaign(container, **changes)
    container.campaign_cache.get_entry("default").expires_at = 0


@pytest.fixture
def mailer() -> FakeMailer:
    return FakeMailer()


def send_due(container: Container, clock: FakeClock, mailer: FakeMailer) -> list[str]:
    """Send what is due after a month and a bit; return the text of each email."""
    clock.advance(days=33)
    before = len(mailer.sent)
    run_send_reminders(container, mailer)
    renderer = EmailRenderer("The Paper <support@paper.example>", clock)
    texts = []
    for email in mailer.sent[before:]:
        message = message_from_bytes(renderer.render(email).content, policy=modern)
        texts.append(" ".join(message.get_body(("plain",)).get_content().split()))
    return texts


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize(("wish", "today", "english", "russian", "kept"), CHANGES)
def test_email_and_page_say_what_is_not_offered_any_more(
    client: FlaskClient,
    container: Container,
    clock: FakeClock,
    mailer: FakeMailer,
    wish: dict,
    today: dict,
    english: str,
    russian: str,
    kept: str | None,
    lang: str,
) -> None:
    assert post_reminder(client, **wish, lang=lang).status_code == 201
    token = reminder_token_for(container, READER)
    old_link = {**wish, "currency": "USD", "lang": lang}
    change_campaign(container, **today)
    sentence = english if lang == "en" else russian
    page = visible_text(client.get(f"/r/{token}?lang={lang}").text).replace("\N{NO-BREAK SPACE}", " ")
    assert sentence in page
    assert "Give $" not in page
    support_page = visible_text(client.get("/support/default", query_string=old_link).text)
    assert sentence in support_page.replace("\N{NO-BREAK SPACE}", " ")
    [text] = send_due(container, clock, mailer)
    assert sentence in text
    assert "Give $" not in text
    email = mailer.sent[0]
    assert (email.frequency, email.money) == (kept, None)
    assert "amount=" not in email.give_url
    assert ("frequency=" in email.give_url) is (kept is not None)


def test_choice_that_still_fits_is_offered_without_a_remark(
    client: FlaskClient, container: Container, clock: FakeClock, mailer: FakeMailer
) -> None:
    post_reminder(client, frequency="monthly", amount=1500)
    change_campaign(container, frequencies=FROM_TEN)
    [text] = send_due(container, clock, mailer)
    assert "Give $15 a month" in text
    assert mailer.sent[0].offer_changes == ()


def test_support_page_does_not_turn_a_monthly_amount_into_a_single_one(
    client: FlaskClient, container: Container
) -> None:
    change_campaign(container, frequencies=[ONCE | {"presets": [500], "default": 500}], default_frequency="once")
    page = client.get("/support/default?frequency=monthly&amount=1500").text
    assert "Monthly support isn’t offered right now." in visible_text(page)
    assert 'name="other_amount"' in page
    assert 'value="15"' not in page
    for nonsense in (
        "frequency=weekly&amount=1500",
        "currency=<b>",
        "amount=-1",
        "amount=x&frequency=",
        "lang=en",
    ):
        assert "offered right now" not in client.get(f"/support/default?{nonsense}").text


def test_emails_do_not_promise_reminders_that_are_off(
    client: FlaskClient, container: Container, clock: FakeClock, mailer: FakeMailer
) -> None:
    post_reminder(client)
    token = reminder_token_for(container, READER)
    change_campaign(container, reminder={"enabled": False})
    [text] = send_due(container, clock, mailer)
    assert "Not today?" not in text
    assert "Don’t want these emails? Unsubscribe:" in text
    assert "Remind me" not in client.get(f"/r/{token}").text


@pytest.mark.parametrize(
    ("reminder", "goes_on"),
    [
        ({"enabled": False, "repeats": [1]}, False),
        ({"repeats": []}, False),
        ({"repeats": [3]}, False),
        ({"repeats": [3, 1]}, True),
    ],
)
def test_repeating_reminder_ends_when_its_interval_is_not_offered(
    client: FlaskClient,
    container: Container,
    clock: FakeClock,
    mailer: FakeMailer,
    reminder: dict,
    goes_on: bool,
) -> None:
    change_campaign(container, reminder={"repeats": [1]})
    post_reminder(client, months=1, repeat=True)
    token = reminder_token_for(container, READER)
    [first] = send_due(container, clock, mailer)
    assert "every month" in first
    change_campaign(container, reminder=reminder)
    page = visible_text(client.get(f"/r/{token}").text)
    assert ("this is the last one" in page) is not goes_on
    assert ("every month" in page) is goes_on
    [second] = send_due(container, clock, mailer)
    assert ("every month" in second) is goes_on
    assert ("the last one" in second) is not goes_on
    assert len(send_due(container, clock, mailer)) == goes_on
    assert only_reminder(container).status == (ReminderStatus.SCHEDULED if goes_on else ReminderStatus.SENT)


def put(client: FlaskClient, container: Container, file: dict, waiting: str | None = None):
    return client.put(
        "/v1/admin/campaigns/default",
        json=file,
        headers=auth_headers(container, "manage"),
        query_string={"waiting": waiting} if waiting else {},
    )


def off(container: Container) -> dict:
    file = campaign_definition(container)
    return file | {"reminder": file["reminder"] | {"enabled": False}}


def set_many(client: FlaskClient, number: int) -> None:
    for index in range(number):
        post_reminder(client, email=f"reader-{index}@example.org")


def test_switching_reminders_off_asks_what_becomes_of_those_that_wait(
    client: FlaskClient, container: Container
) -> None:
    set_many(client, 3)
    problem = assert_problem(put(client, container, off(container)), 409, "reminders_waiting")
    for word in ("3 reminders wait", "keep", "cancel"):
        assert word in problem["detail"]
    assert client.get("/v1/campaigns/default").json["reminder"]["enabled"] is True
    assert_problem(put(client, container, off(container), "perhaps"), 422, "validation_failed", field="waiting")


def test_keep_sends_those_that_wait_once(
    client: FlaskClient, container: Container, clock: FakeClock, mailer: FakeMailer
) -> None:
    set_many(client, 3)
    assert put(client, container, off(container), "keep").status_code == 200
    send_due(container, clock, mailer)
    assert len(mailer.sent) == 3
    send_due(container, clock, mailer)
    assert len(mailer.sent) == 3


def test_cancel_ends_those_that_wait_with_a_reason(
    client: FlaskClient, container: Container, clock: FakeClock, mailer: FakeMailer
) -> None:
    change_campaign(container, reminder={"confirm": True})
    post_reminder(client, email="unconfirmed@example.org")
    run_send_reminders(container, mailer)
    change_campaign(container, reminder={"repeats": [1]})
    set_many(client, 3)
    post_reminder(client, email="again@example.org", months=1, repeat=True)
    update_campaign(container, slug="climate")
    post_reminder(client, campaign="climate")
    mailer.sent.clear()
    assert put(client, container, off(container), "cancel").status_code == 200
    with container.database.read_only() as session:
        reminders = session.scalars(select(Reminder).where(Reminder.status == ReminderStatus.CANCELLED)).all()
        assert {(one.reason, one.every_months) for one in reminders} == {("not_offered", None)}
        changes = session.scalars(select(ReminderStatusChange).where(ReminderStatusChange.event == "cancel")).all()
        assert [change.reason for change in changes] == ["not_offered"] * 5
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "put_campaign")).all()
        assert entries[-1].details == {"campaign": "default", "waiting": "cancel"}
    # Their readers did not unsubscribe, and the other campaign's reminder still waits.
    assert count(container, Suppression) == 0
    send_due(container, clock, mailer)
    assert mailer.addresses == [READER]
    # A repeated request finds nothing left to do.
    assert put(client, container, off(container), "cancel").status_code == 200
    assert put(client, container, off(container)).status_code == 200


def test_cancelling_is_done_in_batches_and_resumes(client: FlaskClient, container: Container) -> None:
    set_many(client, 5)
    change_campaign(container, reminder={"enabled": False})
    counts = []
    for _ in range(4):
        with container.database.transaction() as session:
            counts.append(cancel_waiting_reminders(session, "default", now=container.clock(), limit=2))
    assert counts == [2, 2, 1, 0]


def test_repeats_that_vanish_ask_for_those_that_repeat_only(client: FlaskClient, container: Container) -> None:
    change_campaign(container, reminder={"repeats": [1, 3]})
    set_many(client, 2)
    post_reminder(client, email="again@example.org", months=3, repeat=True)
    file = campaign_definition(container)
    file["reminder"] |= {"repeats": [1]}
    problem = assert_problem(put(client, container, file), 409, "reminders_waiting")
    assert "1 reminder waits" in problem["detail"]
    assert put(client, container, file, "cancel").status_code == 200
    with container.database.read_only() as session:
        statuses = sorted(session.scalars(select(Reminder.status)))
    assert statuses == [ReminderStatus.CANCELLED, ReminderStatus.SCHEDULED, ReminderStatus.SCHEDULED]


@pytest.mark.parametrize("change", [{"heading": "New words"}, {"reminder": {"choices": [3]}}])
def test_other_changes_need_no_decision(client: FlaskClient, container: Container, change: dict) -> None:
    set_many(client, 1)
    assert put(client, container, campaign_definition(container) | change).status_code == 200


def test_nothing_is_asked_if_nothing_waits_or_reminders_were_off(
    client: FlaskClient, container: Container
) -> None:
    assert put(client, container, off(container)).status_code == 200
    assert put(client, container, off(container)).status_code == 200


def test_amount_that_the_gateway_cannot_charge_is_said(container: Container) -> None:
    with container.database.read_only() as session:
        campaign = get_campaign(session, "default")
        limits = ChargeLimits(step_minor=100)
        preference = offered_preference(campaign, Frequency.MONTHLY, 550, "USD", limits=limits)
        assert (preference.frequency, preference.money) == (Frequency.MONTHLY, None)
        texts = Texts("en", {})
        sentence = "We can’t charge $5.50 any more. Please choose another amount."
        assert describe_changes(preference.changes, texts.format, "en") == [sentence]
        assert offered_preference(campaign, Frequency.MONTHLY, 600, "USD", limits=limits).changes == ()
        # No choice was made, so nothing can have changed, and the amount alone is one at the default frequency.
        assert offered_preference(campaign, None, None, "XXX").changes == ()
        assert offered_preference(campaign, None, 700, None).money == Money(700, "USD")
