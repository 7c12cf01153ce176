"""Next occurrences of repeated reminders, and due dates from a local date, against the oracle of `add_months`."""

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


def occurrences(asked_at: dt.datetime, count: int, **schedule: object) -> list[str]:
    """Return the local dates of the first occurrences, each sent when it is due."""
    dates, after = [], asked_at
    for _ in range(count):
        due = next_occurrence(asked_at, after=after, **schedule)
        dates.append(due.local_date.isoformat())
        after = due.instant
    return dates


@pytest.mark.parametrize(
    ("asked_on", "every_months", "dates"),
    [
        ("2027-01-31", 1, ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        ("2027-11-30", 3, ["2028-02-29", "2028-05-30", "2028-08-30", "2028-11-30"]),
        ("2028-02-29", 12, ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        ("2026-11-23", 1, ["2026-12-23", "2027-01-23", "2027-02-23", "2027-03-23"]),
    ],
)
def test_repeats_on_the_31st_stay_on_the_31st(asked_on, every_months, dates):
    asked_at = dt.datetime.fromisoformat(f"{asked_on}T12:00:00+00:00")
    schedule = {"first_months": every_months, "every_months": every_months, "zone": "UTC", "hour": 9}
    assert occurrences(asked_at, len(dates), **schedule) == dates


def test_first_wait_may_differ_from_the_interval():
    schedule = {"first_months": 1, "every_months": 3, "zone": "Europe/Amsterdam", "hour": 9}
    assert occurrences(utc(2026, 12, 31, 12), 3, **schedule) == ["2027-01-31", "2027-04-30", "2027-07-31"]


def test_next_occurrence_is_strictly_later():
    schedule = {"first_months": 1, "every_months": 1, "zone": "UTC", "hour": 9}
    asked_at, due_at = utc(2026, 11, 23, 12), utc(2026, 12, 23, 9)
    moment = dt.timedelta(microseconds=1)
    assert next_occurrence(asked_at, after=due_at - moment, **schedule).instant == due_at
    assert next_occurrence(asked_at, after=due_at, **schedule).instant == utc(2027, 1, 23, 9)


@settings(max_examples=200, deadline=None)
@given(
    asked_at=INSTANTS,
    after=INSTANTS,
    first=st.integers(1, 24),
    every=st.integers(1, 12),
    zone=st.sampled_from(ZONES),
    hour=st.integers(0, 23),
)
def test_next_occurrence_is_the_first_later_date(asked_at, after, first, every, zone, hour):
    dates = [expected(asked_at, first + repeat * every, zone, hour) for repeat in range(7 * 12 + 2)]
    earliest = min((due for due in dates if due.instant > after), key=lambda due: due.instant)
    assert (
        next_occurrence(asked_at, first_months=first, every_months=every, zone=zone, hour=hour, after=after)
        == earliest
    )


@settings(max_examples=200, deadline=None)
@given(on=st.sampled_from(EVERY_DAY), zone=st.sampled_from(ZONES), hour=st.integers(0, 23))
def test_local_date_is_due_at_the_campaigns_hour_in_the_readers_zone(on, zone, hour):
    local = oracle_zone(zone)
    at = dt.datetime.combine(on, dt.time(hour), tzinfo=local).astimezone(dt.UTC)
    assert at_local_hour(on, zone=zone, hour=hour) == DueDate(local_date=at.astimezone(local).date(), instant=at)


@settings(max_examples=200, deadline=None)
@given(asked_at=INSTANTS, months=st.integers(1, 24), zone=st.sampled_from(ZONES), hour=st.integers(0, 23))
def test_due_date_from_its_local_date_is_the_same(asked_at, months, zone, hour):
    due = add_months(asked_at, months=months, zone=zone, hour=hour)
    recomputed = at_local_hour(due.local_date, zone=zone, hour=hour)
    assert recomputed.local_date == due.local_date
    # They differ only where a clock change skipped midnight, so that the due date moved to the day after.
    nominal = same_day_later(asked_at.astimezone(oracle_zone(zone)).date(), months)
    assert recomputed == due or due.local_date != nominal


def test_unknown_timezone_is_refused():
    with pytest.raises(UnknownTimezone):
        at_local_hour(dt.date(2026, 12, 23), zone="Europe/Atlantis", hour=9)
