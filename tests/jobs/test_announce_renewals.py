"""Annual pledges are announced in time, once, and only if they renew."""

import datetime
import threading
import uuid

import pytest

from jobs.announce_renewals import announce_renewals
from schemas.vocabulary import Frequency, NoticeKind, PledgeStatus
from service.desk import Desk
from tests.clock import Clock
from tests.jobs.notices import change_pledge, put, put_pledge, run, standing
from tests.jobs.posts import Post

GO_ON = threading.Event()


def annual(desk: Desk, *, days: int, **changes) -> uuid.UUID:
    renews_at = desk.clock() + datetime.timedelta(days=days)
    return put_pledge(desk, frequency=Frequency.ANNUAL, renews_at=renews_at, **changes)


@pytest.mark.parametrize(("days", "leaves_after"), [(21, 5), (15, 0), (5, 0)])
def test_a_renewal_is_announced_a_fortnight_before_or_at_once(
    desk: Desk, clock: Clock, days: int, leaves_after: int
) -> None:
    annual(desk, days=days)
    assert announce_renewals(desk, GO_ON) == {"announced": 1}
    assert announce_renewals(desk, GO_ON) == {"announced": 0}
    post = Post()
    for _ in range(days):
        run(desk, post)
        if post.letters:
            break
        clock.advance(days=1)
    [letter] = post.letters
    assert (clock().date() - datetime.date(2026, 11, 23)).days in (leaves_after, leaves_after + 1)
    assert letter.falls_on == datetime.date(2026, 11, 23) + datetime.timedelta(days=days)
    assert announce_renewals(desk, GO_ON) == {"announced": 0}


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
def test_what_does_not_renew_soon_is_not_announced(desk: Desk, changes: dict) -> None:
    change_pledge(desk, annual(desk, days=15), **changes)
    assert announce_renewals(desk, GO_ON) == {"announced": 0}


def test_one_renewal_that_is_told_under_two_dates_is_told_once(desk: Desk) -> None:
    pledge_id = annual(desk, days=10)
    announce_renewals(desk, GO_ON)
    put(desk, NoticeKind.RENEWAL, pledge_id=pledge_id, falls_on=datetime.date(2026, 12, 4))
    post = Post()
    run(desk, post)
    assert len(post.letters) == 1
    assert standing(desk) == {"sent": 1, "skipped": 1}
