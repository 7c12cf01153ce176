"""Renewal notifications: enqueued in time, once, and only for pledges that renew."""

import datetime
import uuid

import pytest
from sqlalchemy import select, text

from jobs.notifications import queue_renewal_notifications
from schemas.enums import EmailKind, Frequency, PledgeStatus
from service.container import Container
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.pledge import Pledge
from service.domain.notifications.renewals import enqueue_renewal_notifications
from tests.api.client import update_campaign
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import change_pledge, enqueue, put_pledge, run, status_counts
from tests.threads import RUNNING

MICROSECOND = datetime.timedelta(microseconds=1)


def annual_pledge(container: Container, *, days: int, **changes) -> uuid.UUID:
    renews_at = container.clock() + datetime.timedelta(days=days)
    return put_pledge(container, frequency=Frequency.ANNUAL, renews_at=renews_at, **changes)


@pytest.mark.parametrize(("days", "leaves_after"), [(21, 5), (15, 0), (5, 0)])
def test_renewal_is_announced_two_weeks_before_or_immediately(
    container: Container, clock: FakeClock, days: int, leaves_after: int
) -> None:
    annual_pledge(container, days=days)
    assert queue_renewal_notifications(container, RUNNING) == {"announced": 1}
    assert queue_renewal_notifications(container, RUNNING) == {"announced": 0}
    mailer = FakeMailer()
    for _ in range(days):
        run(container, mailer)
        if mailer.sent:
            break
        clock.advance(days=1)
    [email] = mailer.sent
    assert (clock().date() - datetime.date(2026, 11, 23)).days in (leaves_after, leaves_after + 1)
    assert email.event_date == datetime.date(2026, 11, 23) + datetime.timedelta(days=days)
    assert queue_renewal_notifications(container, RUNNING) == {"announced": 0}


@pytest.mark.parametrize(
    ("lead", "days", "leaves_after"), [(30, 37, 6), (30, 38, None), (3, 10, 6), (3, 11, None)]
)
def test_campaign_sets_how_many_days_before_a_renewal_is_announced(
    container: Container, clock: FakeClock, lead: int, days: int, leaves_after: int | None
) -> None:
    update_campaign(container, notices={"renewal_days": lead})
    annual_pledge(container, days=days)
    announced = queue_renewal_notifications(container, RUNNING)["announced"]
    assert announced == (0 if leaves_after is None else 1)
    if leaves_after is None:
        return
    mailer = FakeMailer()
    clock.advance(days=leaves_after - 1)
    run(container, mailer)
    assert mailer.sent == []
    clock.advance(days=1)
    run(container, mailer)
    [email] = mailer.sent
    assert email.event_date == datetime.date(2026, 11, 23) + datetime.timedelta(days=days)


def test_campaigns_with_different_lead_times_are_announced_in_one_run(container: Container) -> None:
    annual_pledge(container, days=5)
    update_campaign(container, slug="other", notices={"renewal_days": 40})
    with container.database.read_only() as session:
        other = session.scalars(select(Campaign.id).where(Campaign.slug == "other")).one()
    annual_pledge(container, days=45, to="other@news.example", campaign_id=other)
    assert queue_renewal_notifications(container, RUNNING) == {"announced": 2}
    assert queue_renewal_notifications(container, RUNNING) == {"announced": 0}


@pytest.mark.parametrize(
    "changes",
    [
        {"frequency": Frequency.MONTHLY},
        {"status": PledgeStatus.CANCELLED},
        {"status": PledgeStatus.PAST_DUE},
        {"cancel_requested_at": datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)},
        {"renews_at": None},
        {"renews_at": datetime.datetime(2026, 12, 20, tzinfo=datetime.UTC)},
        {"renews_at": datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)},
        {"supporter_id": None},
    ],
    ids=str,
)
def test_pledge_without_near_renewal_is_not_announced(container: Container, changes: dict) -> None:
    change_pledge(container, annual_pledge(container, days=15), **changes)
    assert queue_renewal_notifications(container, RUNNING) == {"announced": 0}


def test_renewal_with_two_dates_is_announced_once(container: Container) -> None:
    pledge_id = annual_pledge(container, days=10)
    queue_renewal_notifications(container, RUNNING)
    enqueue(container, EmailKind.RENEWAL, pledge_id=pledge_id, event_date=datetime.date(2026, 12, 4))
    mailer = FakeMailer()
    run(container, mailer)
    assert len(mailer.sent) == 1
    assert status_counts(container) == {"sent": 1, "skipped": 1}


def test_renewal_date_and_sending_hour_are_in_the_campaign_timezone(
    container: Container, clock: FakeClock
) -> None:
    update_campaign(container, timezone="Pacific/Auckland")
    pledge_id = annual_pledge(container, days=20)
    # In Auckland it is noon on the 14th.
    change_pledge(container, pledge_id, renews_at=datetime.datetime(2026, 12, 13, 23, tzinfo=datetime.UTC))
    queue_renewal_notifications(container, RUNNING)
    with container.database.read_only() as session:
        notification = session.scalars(select(OutgoingEmail)).one()
    assert (notification.event_date, notification.dedup_key) == (
        datetime.date(2026, 12, 14),
        f"{pledge_id}:2026-12-14",
    )
    # Fifteen days before at nine o'clock in Auckland.
    assert notification.due_at == datetime.datetime(2026, 11, 28, 20, tzinfo=datetime.UTC)


def test_renewal_whose_sending_hour_has_passed_is_due_immediately(container: Container) -> None:
    annual_pledge(container, days=5)
    queue_renewal_notifications(container, RUNNING)
    with container.database.read_only() as session:
        assert session.scalars(select(OutgoingEmail.due_at)).one() == container.clock()


@pytest.mark.parametrize(
    ("renews_after", "announced"),
    [
        (datetime.timedelta(), 0),
        (MICROSECOND, 1),
        (datetime.timedelta(days=21), 1),
        (datetime.timedelta(days=21) + MICROSECOND, 0),
    ],
)
def test_renewal_lookahead_is_three_weeks(
    container: Container, renews_after: datetime.timedelta, announced: int
) -> None:
    change_pledge(container, annual_pledge(container, days=1), renews_at=container.clock() + renews_after)
    assert queue_renewal_notifications(container, RUNNING) == {"announced": announced}


def test_next_renewal_a_year_later_is_announced(container: Container, clock: FakeClock) -> None:
    pledge_id = annual_pledge(container, days=10)
    queue_renewal_notifications(container, RUNNING)
    run(container, FakeMailer())
    clock.advance(days=360)
    change_pledge(container, pledge_id, renews_at=clock() + datetime.timedelta(days=15))
    mailer = FakeMailer()
    assert queue_renewal_notifications(container, RUNNING) == {"announced": 1}
    run(container, mailer)
    assert len(mailer.sent) == 1


@pytest.mark.parametrize(("days_apart", "announced"), [(30, 1), (31, 2)])
def test_dates_within_thirty_days_are_the_same_renewal(
    container: Container, days_apart: int, announced: int
) -> None:
    pledge_id = put_pledge(container, frequency=Frequency.ANNUAL)
    first = datetime.date(2026, 12, 4)
    for event_date in (first, first + datetime.timedelta(days=days_apart)):
        enqueue(container, EmailKind.RENEWAL, pledge_id=pledge_id, event_date=event_date)
    mailer = FakeMailer()
    run(container, mailer)
    assert len(mailer.sent) == announced


def test_locked_pledge_is_announced_on_the_next_run(container: Container) -> None:
    held, _ = annual_pledge(container, days=10), annual_pledge(container, days=11)
    with container.database.transaction() as session:
        session.get_one(Pledge, held, with_for_update=True)
        with container.database.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            assert enqueue_renewal_notifications(other, now=container.clock()) == 1
    assert queue_renewal_notifications(container, RUNNING) == {"announced": 1}
