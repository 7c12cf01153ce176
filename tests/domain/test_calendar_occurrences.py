"""When a reminder comes again, and at which hour a promised day's mail leaves, against next month's oracle."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.calendar import DueDate, add_months, at_local_hour, next_occurrence
from service.domain.errors import UnknownTimezone
from tests.domain.test_calendar_properties import (
    EVERY_DAY,
    INSTANTS,
    ZONES,
    expected,
    oracle_zone,
    same_day_later,
)


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)


def walk(asked_at: dt.datetime, times: int, **how: object) -> list[str]:
    """Return the days of so many mails, each sent when it is due."""
    days, after = [], asked_at
    for _ in range(times):
        due = next_occurrence(asked_at, after=after, **how)
        days.append(due.local_date.isoformat())
        after = due.instant
    return days


@pytest.mark.parametrize(
    ("asked_on", "every_months", "days"),
    [
        ("2027-01-31", 1, ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        ("2027-11-30", 3, ["2028-02-29", "2028-05-30", "2028-08-30", "2028-11-30"]),
        ("2028-02-29", 12, ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        ("2026-11-23", 1, ["2026-12-23", "2027-01-23", "2027-02-23", "2027-03-23"]),
    ],
)
def test_a_31st_stays_one_however_often_it_comes(asked_on, every_months, days):
    asked_at = dt.datetime.fromisoformat(f"{asked_on}T12:00:00+00:00")
    how = {"first_months": every_months, "every_months": every_months, "zone": "UTC", "hour": 9}
    assert walk(asked_at, len(days), **how) == days


def test_the_first_wait_may_be_another_than_the_interval():
    how = {"first_months": 1, "every_months": 3, "zone": "Europe/Amsterdam", "hour": 9}
    assert walk(utc(2026, 12, 31, 12), 3, **how) == ["2027-01-31", "2027-04-30", "2027-07-31"]


def test_a_moment_that_is_due_is_not_the_next():
    how = {"first_months": 1, "every_months": 1, "zone": "UTC", "hour": 9}
    asked_at, due_at = utc(2026, 11, 23, 12), utc(2026, 12, 23, 9)
    moment = dt.timedelta(microseconds=1)
    assert next_occurrence(asked_at, after=due_at - moment, **how).instant == due_at
    assert next_occurrence(asked_at, after=due_at, **how).instant == utc(2027, 1, 23, 9)


@settings(max_examples=200, deadline=None)
@given(
    asked_at=INSTANTS,
    after=INSTANTS,
    first=st.integers(1, 24),
    every=st.integers(1, 12),
    zone=st.sampled_from(ZONES),
    hour=st.integers(0, 23),
)
def test_it_comes_on_the_first_of_all_its_dates_that_lies_ahead(asked_at, after, first, every, zone, hour):
    dates = [expected(asked_at, first + time * every, zone, hour) for time in range(7 * 12 + 2)]
    ahead = min((due for due in dates if due.instant > after), key=lambda due: due.instant)
    assert (
        next_occurrence(asked_at, first_months=first, every_months=every, zone=zone, hour=hour, after=after)
        == ahead
    )


@settings(max_examples=200, deadline=None)
@given(on=st.sampled_from(EVERY_DAY), zone=st.sampled_from(ZONES), hour=st.integers(0, 23))
def test_a_promised_day_s_mail_leaves_at_the_campaign_s_hour_of_the_reader_s_clock(on, zone, hour):
    local = oracle_zone(zone)
    at = dt.datetime.combine(on, dt.time(hour), tzinfo=local).astimezone(dt.UTC)
    assert at_local_hour(on, zone=zone, hour=hour) == DueDate(local_date=at.astimezone(local).date(), instant=at)


@settings(max_examples=200, deadline=None)
@given(asked_at=INSTANTS, months=st.integers(1, 24), zone=st.sampled_from(ZONES), hour=st.integers(0, 23))
def test_a_promise_that_is_confirmed_later_is_the_same_promise(asked_at, months, zone, hour):
    promised = add_months(asked_at, months=months, zone=zone, hour=hour)
    kept = at_local_hour(promised.local_date, zone=zone, hour=hour)
    assert kept.local_date == promised.local_date
    # Only where the clock skipped midnight, so that the day after was promised, does its own hour come later.
    wished = same_day_later(asked_at.astimezone(oracle_zone(zone)).date(), months)
    assert kept == promised or promised.local_date != wished


def test_a_zone_that_is_none_is_refused():
    with pytest.raises(UnknownTimezone):
        at_local_hour(dt.date(2026, 12, 23), zone="Europe/Atlantis", hour=9)
