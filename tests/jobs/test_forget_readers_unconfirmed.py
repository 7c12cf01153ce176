"""Reminders that nobody confirms are deleted after a week, and their readers with them; nobody else is."""

import dataclasses
import datetime
import uuid

import pytest
from sqlalchemy import update

from jobs.cleanup import forget_readers
from schemas.vocabulary import DeliveryOutcome, ReminderStatus
from service.db.pledge import Pledge
from service.db.reminder import Reminder
from service.desk import Desk
from service.domain.campaigns.terms import apply_campaign, campaign_terms, find_campaign, read_terms
from service.domain.errors import ReminderNotFound
from service.domain.keeping.retention import Forgotten, forget_unconfirmed_reminders
from service.domain.reminders.asking import ReminderWish, set_reminder
from service.domain.reminders.links import cancel_reminder, confirm_reminder, reminder_token
from service.domain.reminders.status import ReminderEvent
from tests.clock import Clock
from tests.db.people import ask, give, try_mail
from tests.jobs.posts import READER, find
from tests.jobs.test_forget_readers import GO_ON, left
from tests.jobs.test_forget_readers_signing_up import ask_now, standing_at
from tests.jobs.test_sign_ups import behind

WEEK = datetime.timedelta(days=7)
MOMENT = datetime.timedelta(microseconds=1)


def have_confirmed(desk: Desk, slug: str = "default") -> None:
    """Make a campaign one that has its readers confirm."""
    with desk.database.transaction() as session:
        terms = read_terms(campaign_terms(find_campaign(session, "default")))
        apply_campaign(session, dataclasses.replace(terms, slug=slug, reminder_confirm=True), now=desk.clock())


@pytest.fixture(params=["PostgreSQL", "SQLite"])
def either_desk(request: pytest.FixtureRequest) -> Desk:
    """Return a desk on each database in turn, whose campaign has its readers confirm."""
    desk = request.getfixturevalue("desk" if request.param == "PostgreSQL" else "sqlite_desk")
    have_confirmed(desk)
    return desk


@pytest.fixture
def confirming_desk(desk: Desk) -> Desk:
    have_confirmed(desk)
    return desk


def asked(desk: Desk, address: str = READER) -> uuid.UUID:
    """Ask for a reminder, and have its reader asked whether they want it."""
    reminder_id = ask(desk, address)
    try_mail(desk, reminder_id, ReminderEvent.ASK_TO_CONFIRM)
    return reminder_id


def token_for(desk: Desk, reminder_id: uuid.UUID) -> str:
    return reminder_token(desk.database.keyring, find(desk, reminder_id))


def test_one_that_nobody_confirms_is_kept_for_a_week_and_then_gone_with_its_reader(
    either_desk: Desk, clock: Clock
) -> None:
    asked(either_desk)
    clock.now += WEEK - MOMENT
    forget_readers(either_desk, GO_ON)
    assert left(either_desk)[:2] == (1, 1)
    clock.now += MOMENT
    assert forget_readers(either_desk, GO_ON) == {"reminders": 1, "supporters": 1, "mails": 0}
    assert left(either_desk) == (0, 0, 0)


def test_one_that_was_confirmed_is_kept(either_desk: Desk, clock: Clock) -> None:
    reminder_id = asked(either_desk)
    with either_desk.database.transaction() as session:
        confirm_reminder(session, token_for(either_desk, reminder_id), now=clock())
    clock.advance(days=30)
    forget_readers(either_desk, GO_ON)
    assert find(either_desk, reminder_id).status == ReminderStatus.SCHEDULED


@pytest.mark.parametrize("status", [ReminderStatus.FAILED, ReminderStatus.SKIPPED])
def test_one_whose_question_came_to_nothing_is_not_kept_for_longer(
    confirming_desk: Desk, clock: Clock, status: ReminderStatus
) -> None:
    asked(confirming_desk)
    with confirming_desk.database.transaction() as session:
        session.execute(update(Reminder).values(status=status))
    clock.now += WEEK
    forget_readers(confirming_desk, GO_ON)
    assert left(confirming_desk) == (0, 0, 0)


def test_nor_is_one_whose_reader_said_no(confirming_desk: Desk, clock: Clock) -> None:
    reminder_id = asked(confirming_desk)
    with confirming_desk.database.transaction() as session:
        cancel_reminder(session, token_for(confirming_desk, reminder_id), now=clock())
    clock.now += WEEK
    forget_readers(confirming_desk, GO_ON)
    assert left(confirming_desk) == (0, 0, 0)


def test_no_reader_is_forgotten_whom_we_have_not_asked_yet(either_desk: Desk, clock: Clock) -> None:
    waiting, leaving = ask(either_desk, "a@news.example"), ask(either_desk, "b@news.example")
    try_mail(either_desk, leaving, outcome=DeliveryOutcome.LEAVING)
    clock.advance(days=100)
    forget_readers(either_desk, GO_ON)
    assert [find(either_desk, one).status for one in (waiting, leaving)] == ["scheduled", "sending"]


def test_who_was_asked_late_has_a_week_to_answer_all_the_same(either_desk: Desk, clock: Clock) -> None:
    reminder_id = ask(either_desk, READER)
    clock.advance(days=6)
    try_mail(either_desk, reminder_id, ReminderEvent.ASK_TO_CONFIRM)
    clock.now += WEEK - MOMENT
    forget_readers(either_desk, GO_ON)
    assert find(either_desk, reminder_id).status == ReminderStatus.UNCONFIRMED
    clock.now += MOMENT
    forget_readers(either_desk, GO_ON)
    assert left(either_desk) == (0, 0, 0)


def test_a_reader_with_a_pledge_stays_known(either_desk: Desk, clock: Clock) -> None:
    pledge_id = give(either_desk, READER)
    asked(either_desk)
    clock.now += WEEK
    forget_readers(either_desk, GO_ON)
    assert left(either_desk) == (1, 0, 0)
    with either_desk.database.reading() as session:
        assert session.get_one(Pledge, pledge_id).supporter.email == READER


def test_a_reader_who_is_confirming_is_passed_over(confirming_desk: Desk, clock: Clock) -> None:
    token = token_for(confirming_desk, asked(confirming_desk))
    clock.now += WEEK
    with confirming_desk.database.transaction() as session:
        confirm_reminder(session, token, now=clock())
        forget_readers(confirming_desk, GO_ON)
    forget_readers(confirming_desk, GO_ON)
    assert standing_at(confirming_desk, "default") == ReminderStatus.SCHEDULED


def test_a_link_that_meets_its_reminder_being_deleted_opens_nothing(confirming_desk: Desk, clock: Clock) -> None:
    token = token_for(confirming_desk, asked(confirming_desk))
    clock.now += WEEK

    def confirm() -> None:
        with confirming_desk.database.transaction() as session, pytest.raises(ReminderNotFound):
            confirm_reminder(session, token, now=clock())

    forgetting = confirming_desk.database.transaction()
    session = forgetting.__enter__()
    assert forget_unconfirmed_reminders(session, now=clock()) == Forgotten(reminders=1, supporters=1)
    behind(confirming_desk, lambda: forgetting.__exit__(None, None, None), confirm)
    assert left(confirming_desk) == (0, 0, 0)


@pytest.mark.parametrize("slug", ["default", "second"])
def test_a_sign_up_that_meets_a_reader_being_forgotten_makes_them_known_anew(
    confirming_desk: Desk, clock: Clock, slug: str
) -> None:
    have_confirmed(confirming_desk, "second")
    asked(confirming_desk)
    clock.now += WEEK
    forgetting = confirming_desk.database.transaction()
    session = forgetting.__enter__()
    assert forget_unconfirmed_reminders(session, now=clock()) == Forgotten(reminders=1, supporters=1)
    behind(confirming_desk, lambda: forgetting.__exit__(None, None, None), lambda: ask_now(confirming_desk, slug))
    assert left(confirming_desk) == (1, 1, 1)
    assert standing_at(confirming_desk, slug) == ReminderStatus.SCHEDULED


@pytest.mark.parametrize("slug", ["default", "second"])
def test_a_reader_who_is_signing_up_is_passed_over(confirming_desk: Desk, clock: Clock, slug: str) -> None:
    have_confirmed(confirming_desk, "second")
    asked(confirming_desk)
    clock.now += WEEK
    with confirming_desk.database.transaction() as session:
        wish = ReminderWish(campaign=slug, email=READER)
        set_reminder(session, find_campaign(session, slug), wish, now=clock())
        forget_readers(confirming_desk, GO_ON)
    assert standing_at(confirming_desk, slug) == ReminderStatus.SCHEDULED
