"""The yearly email to monthly supporters: where a campaign wants it, once a year, while they give."""

import datetime
import uuid

import pytest

from jobs.notifications import queue_renewal_notifications
from schemas.enums import EmailKind, Frequency, PledgeStatus
from service.container import Container
from service.domain.money import Money
from tests.api.client import update_campaign
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import change_pledge, put_pledge, run, status_counts
from tests.threads import RUNNING

BEGAN = datetime.datetime(2025, 11, 23, 8, 0, tzinfo=datetime.UTC)
NEXT_PAYMENT = datetime.datetime(2026, 12, 20, 8, 0, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def _campaign(container: Container) -> None:
    update_campaign(container, notices={"monthly_yearly": True})


def monthly_pledge(container: Container, **changes: object) -> uuid.UUID:
    values = {"created_at": BEGAN, "renews_at": NEXT_PAYMENT, "fees_minor": 25} | changes
    return put_pledge(container, **values)


def announce(container: Container) -> int:
    return queue_renewal_notifications(container, RUNNING).get("monthly", 0)


def test_monthly_supporter_gets_one_email_a_year_after_they_began(container: Container) -> None:
    monthly_pledge(container)
    assert [announce(container), announce(container)] == [1, 0]
    mailer = FakeMailer()
    run(container, mailer)
    [email] = mailer.sent
    assert email.kind == EmailKind.MONTHLY_YEARLY
    assert (email.money, email.since, email.event_date) == (Money(525, "USD"), BEGAN.date(), NEXT_PAYMENT.date())
    assert "/p/" in email.page_url


def test_email_comes_again_the_next_year(container: Container, clock: FakeClock) -> None:
    pledge_id = monthly_pledge(container)
    mailer = FakeMailer()
    for year in (2026, 2027, 2028):
        change_pledge(container, pledge_id, renews_at=clock() + datetime.timedelta(days=20))
        assert announce(container) == 1
        run(container, mailer)
        clock.now = datetime.datetime(year + 1, 11, 23, 9, 30, tzinfo=datetime.UTC)
    assert len(mailer.sent) == 3


@pytest.mark.parametrize(
    ("began", "count"),
    [
        # Not a year yet, in the last two weeks of one, and longer ago.
        (datetime.datetime(2025, 11, 25, tzinfo=datetime.UTC), 0),
        (datetime.datetime(2025, 11, 11, tzinfo=datetime.UTC), 1),
        (datetime.datetime(2025, 11, 9, tzinfo=datetime.UTC), 0),
        (datetime.datetime(2021, 11, 20, tzinfo=datetime.UTC), 1),
    ],
)
def test_anniversary_decides(container: Container, began: datetime.datetime, count: int) -> None:
    monthly_pledge(container, created_at=began)
    assert announce(container) == count


def test_checkout_that_was_completed_later_counts(container: Container) -> None:
    monthly_pledge(container, created_at=BEGAN - datetime.timedelta(days=40), checkout_completed_at=BEGAN)
    assert announce(container) == 1


def test_leap_day_is_followed_by_the_28th(container: Container, clock: FakeClock) -> None:
    began = datetime.datetime(2028, 2, 29, 8, 0, tzinfo=datetime.UTC)
    clock.now = datetime.datetime(2029, 2, 28, 10, 0, tzinfo=datetime.UTC)
    monthly_pledge(container, created_at=began, renews_at=datetime.datetime(2029, 3, 29, tzinfo=datetime.UTC))
    assert [announce(container), announce(container)] == [1, 0]


@pytest.mark.parametrize(
    "changes",
    [
        {"frequency": Frequency.ANNUAL, "renews_at": datetime.datetime(2027, 6, 1, tzinfo=datetime.UTC)},
        {"status": PledgeStatus.CANCELLED},
        {"status": PledgeStatus.PAST_DUE},
        {"cancel_requested_at": BEGAN},
        {"cancel_at": NEXT_PAYMENT},
        {"is_paused": True},
        {"renews_at": None},
        {"supporter_id": None},
    ],
    ids=str,
)
def test_who_does_not_give_every_month_any_more_gets_none(container: Container, changes: dict) -> None:
    change_pledge(container, monthly_pledge(container), **changes)
    assert announce(container) == 0


def test_campaign_that_does_not_want_it_sends_none(container: Container) -> None:
    update_campaign(container, notices={"monthly_yearly": False})
    monthly_pledge(container)
    assert announce(container) == 0


def test_supporter_who_cancels_meanwhile_gets_none(container: Container) -> None:
    pledge_id = monthly_pledge(container)
    assert announce(container) == 1
    change_pledge(container, pledge_id, cancel_requested_at=BEGAN)
    run(container, FakeMailer())
    assert status_counts(container) == {"skipped": 1}


def test_email_is_sent_at_the_hour_of_the_campaign(container: Container, clock: FakeClock) -> None:
    update_campaign(container, notices={"monthly_yearly": True}, send_hour=14)
    monthly_pledge(container)
    assert announce(container) == 1
    mailer = FakeMailer()
    run(container, mailer)
    assert mailer.sent == []
    clock.advance(hours=5)
    run(container, mailer)
    assert len(mailer.sent) == 1
