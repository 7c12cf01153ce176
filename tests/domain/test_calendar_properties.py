"""Due dates in every zone and on every date of 2024–2030, against zoneinfo and the standard calendar."""

import calendar
import datetime as dt
from functools import cache
from importlib import resources
from itertools import product
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.calendar import DueDate, add_months

TZDATA = resources.files("tzdata")
ZONES = sorted(TZDATA.joinpath("zones").read_text("utf-8").split())
FIRST_DAY, LAST_DAY = dt.date(2024, 1, 1), dt.date(2030, 12, 31)
EVERY_DAY = [FIRST_DAY + dt.timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1)]

INSTANTS = st.datetimes(
    dt.datetime.combine(FIRST_DAY, dt.time.min),
    dt.datetime.combine(LAST_DAY, dt.time.max),
    timezones=st.just(dt.UTC),
)


def zone_file(name: str) -> bytes:
    return TZDATA.joinpath("zoneinfo", *name.split("/")).read_bytes()


# Half of the names are links to the same rules. A test over every date visits each set of rules once.
DISTINCT_ZONES = sorted({zone_file(name): name for name in reversed(ZONES)}.values())


@cache
def oracle_zone(name: str) -> ZoneInfo:
    with TZDATA.joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def same_day_later(day: dt.date, months: int) -> dt.date:
    """Add months without the code under test: the same day, or the last one of a shorter month."""
    year, month0 = divmod(day.year * 12 + day.month - 1 + months, 12)
    return dt.date(year, month0 + 1, min(day.day, calendar.monthrange(year, month0 + 1)[1]))


def expected(asked_at: dt.datetime, months: int, zone: str, hour: int) -> DueDate:
    """Return the due date by zoneinfo alone; fold=0 (PEP 495) is the first of two and the later side of a gap."""
    local = oracle_zone(zone)
    day = same_day_later(asked_at.astimezone(local).date(), months)
    at = dt.datetime.combine(day, dt.time(hour), tzinfo=local).astimezone(dt.UTC)
    return DueDate(local_date=at.astimezone(local).date(), instant=at)


def clock_changes(zone: str) -> list[dt.date]:
    """Return the local dates of 2024–2030 on which the zone's UTC offset changes."""
    local = oracle_zone(zone)
    offsets = [dt.datetime.combine(day, dt.time(), tzinfo=local).utcoffset() for day in EVERY_DAY]
    return [day for day, now, then in zip(EVERY_DAY, offsets, offsets[1:], strict=False) if now != then]


@settings(max_examples=300, deadline=None)
@given(
    asked_at=INSTANTS,
    months=st.integers(1, 24),
    zone=st.sampled_from(ZONES),
    hour=st.integers(0, 23),
)
def test_due_date_is_the_same_or_last_day_at_the_local_hour(asked_at, months, zone, hour):
    local = oracle_zone(zone)
    due = add_months(asked_at, months=months, zone=zone, hour=hour)
    nominal = dt.datetime.combine(same_day_later(asked_at.astimezone(local).date(), months), dt.time(hour))
    arrival = due.instant.astimezone(local).replace(tzinfo=None)

    assert due == expected(asked_at, months, zone, hour)
    assert due.instant.tzinfo is dt.UTC
    assert due.local_date == arrival.date()
    before, after = (nominal.replace(tzinfo=local, fold=fold).utcoffset() for fold in (0, 1))
    skipped = after > before
    assert arrival == (nominal + (after - before) if skipped else nominal)


@settings(max_examples=100, deadline=None)
@given(
    asked_at=INSTANTS,
    zone=st.sampled_from(ZONES),
    other_zone=st.sampled_from(ZONES),
)
def test_due_date_depends_on_the_instant_and_not_on_its_zone(asked_at, zone, other_zone):
    same_instant = asked_at.astimezone(oracle_zone(other_zone))
    assert add_months(same_instant, months=1, zone=zone, hour=9) == add_months(
        asked_at, months=1, zone=zone, hour=9
    )


def test_every_date_in_every_zone_matches_the_oracle():
    for zone in DISTINCT_ZONES:
        for day in EVERY_DAY:
            asked_at = dt.datetime.combine(day, dt.time(17, 45), tzinfo=dt.UTC)
            assert add_months(asked_at, months=1, zone=zone, hour=9) == expected(asked_at, 1, zone, 9), (zone, day)


def test_every_date_is_due_at_nine_local_time_a_month_later():
    for zone, day in product(
        ("UTC", "Europe/Amsterdam", "America/New_York", "Asia/Kolkata", "Pacific/Apia"), EVERY_DAY
    ):
        local = oracle_zone(zone)
        asked_at = dt.datetime.combine(day, dt.time(12), tzinfo=local)
        due = add_months(asked_at, months=1, zone=zone, hour=9)
        assert due.local_date == same_day_later(day, 1)
        assert due.instant.astimezone(local).replace(tzinfo=None) == dt.datetime.combine(
            due.local_date, dt.time(9)
        )


def test_every_hour_around_every_clock_change_matches_the_oracle():
    changes = [(zone, day) for zone in DISTINCT_ZONES for day in clock_changes(zone)]
    assert len(changes) > 1000
    for zone, day in changes:
        # Counting from December, which has 31 days, reaches every day of every month.
        asked_at = dt.datetime(day.year - 1, 12, day.day, 12, tzinfo=oracle_zone(zone))
        for hour in range(24):
            due = add_months(asked_at, months=day.month, zone=zone, hour=hour)
            assert due == expected(asked_at, day.month, zone, hour), (zone, day, hour)
