"""Due dates of "remind me next month", date by date."""

import datetime as dt
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from service.domain.calendar import DueDate, add_months, is_timezone
from service.domain.errors import UnknownTimezone


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)


def test_due_date_is_the_same_day_next_month_at_the_local_hour():
    due = add_months(utc(2026, 11, 23, 15), months=1, zone="Europe/Amsterdam", hour=9)
    assert due == DueDate(local_date=dt.date(2026, 12, 23), instant=utc(2026, 12, 23, 8))


@pytest.mark.parametrize(
    ("asked_on", "months", "due_on"),
    [
        ("2024-12-29", 1, "2025-01-29"),
        ("2024-12-30", 1, "2025-01-30"),
        ("2024-12-31", 1, "2025-01-31"),
        ("2027-12-29", 1, "2028-01-29"),
        ("2027-12-30", 1, "2028-01-30"),
        ("2027-12-31", 1, "2028-01-31"),
        ("2024-12-29", 2, "2025-02-28"),
        ("2024-12-31", 2, "2025-02-28"),
        ("2027-12-29", 2, "2028-02-29"),
        ("2027-12-31", 2, "2028-02-29"),
        ("2026-07-31", 1, "2026-08-31"),
        ("2028-07-31", 1, "2028-08-31"),
        ("2026-07-31", 2, "2026-09-30"),
        ("2026-08-31", 1, "2026-09-30"),
        ("2026-01-29", 1, "2026-02-28"),
        ("2026-01-30", 1, "2026-02-28"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2024-02-29", 24, "2026-02-28"),
    ],
)
def test_due_date_falls_back_to_the_last_day_of_a_short_month(asked_on, months, due_on):
    asked_at = dt.datetime.fromisoformat(f"{asked_on}T12:00:00+00:00")
    due = add_months(asked_at, months=months, zone="UTC", hour=9)
    assert due == DueDate(
        local_date=dt.date.fromisoformat(due_on), instant=dt.datetime.fromisoformat(f"{due_on}T09:00:00+00:00")
    )


def test_31_january_becomes_28_february():
    due = add_months(utc(2026, 1, 31, 12), months=1, zone="Europe/London", hour=9)
    assert due == DueDate(local_date=dt.date(2026, 2, 28), instant=utc(2026, 2, 28, 9))


def test_31_january_becomes_29_february_in_a_leap_year():
    due = add_months(utc(2028, 1, 31, 12), months=1, zone="Europe/London", hour=9)
    assert due == DueDate(local_date=dt.date(2028, 2, 29), instant=utc(2028, 2, 29, 9))


@pytest.mark.parametrize(
    ("asked_at", "zone", "due_at"),
    [
        (utc(2026, 2, 8, 12), "America/New_York", "2026-03-08T03:00:00-04:00"),
        (utc(2026, 2, 28, 12), "Europe/Amsterdam", "2026-03-28T02:00:00+01:00"),
        (utc(2027, 2, 28, 12), "Europe/Amsterdam", "2027-03-28T03:00:00+02:00"),
        (utc(2026, 9, 4, 0), "Australia/Lord_Howe", "2026-10-04T02:30:00+11:00"),
    ],
    ids=[
        "New York skips an hour",
        "the day before Amsterdam does",
        "Amsterdam skips one",
        "Lord Howe skips half of one",
    ],
)
def test_skipped_local_hour_moves_forward_by_the_gap(asked_at, zone, due_at):
    due = add_months(asked_at, months=1, zone=zone, hour=2)
    assert due.instant == dt.datetime.fromisoformat(due_at)
    assert due.local_date == dt.date.fromisoformat(due_at[:10])


@pytest.mark.parametrize(
    ("asked_at", "zone", "hour", "due_at"),
    [
        (utc(2026, 10, 1, 12), "America/New_York", 1, "2026-11-01T01:00:00-04:00"),
        (utc(2026, 9, 25, 12), "Europe/Amsterdam", 2, "2026-10-25T02:00:00+02:00"),
    ],
)
def test_repeated_local_hour_means_the_first(asked_at, zone, hour, due_at):
    assert add_months(asked_at, months=1, zone=zone, hour=hour).instant == dt.datetime.fromisoformat(due_at)


def test_due_date_follows_the_calendar_of_a_zone_ahead_of_utc():
    due = add_months(utc(2026, 1, 30, 22), months=1, zone="Pacific/Kiritimati", hour=9)
    assert due == DueDate(local_date=dt.date(2026, 2, 28), instant=utc(2026, 2, 27, 19))
    due = add_months(utc(2026, 4, 30, 22), months=1, zone="Pacific/Kiritimati", hour=9)
    assert due == DueDate(local_date=dt.date(2026, 6, 1), instant=utc(2026, 5, 31, 19))


def test_due_date_follows_the_calendar_of_a_zone_behind_utc():
    due = add_months(utc(2026, 5, 1, 5), months=1, zone="Pacific/Niue", hour=9)
    assert due == DueDate(local_date=dt.date(2026, 5, 30), instant=utc(2026, 5, 30, 20))


@pytest.mark.parametrize(
    ("asked_at", "zone", "hour", "due_on", "due_at"),
    [
        (utc(2011, 11, 30, 20), "Pacific/Apia", 9, dt.date(2011, 12, 31), utc(2011, 12, 30, 19)),
        (utc(1993, 7, 22, 3), "Pacific/Kwajalein", 9, dt.date(1993, 8, 22), utc(1993, 8, 21, 21)),
        (utc(2024, 2, 29, 12), "America/Nuuk", 23, dt.date(2024, 3, 29), utc(2024, 3, 30, 1)),
        (utc(2025, 2, 28, 12), "America/Nuuk", 23, dt.date(2025, 3, 28), utc(2025, 3, 29, 1)),
        (utc(2027, 2, 27, 12), "America/Nuuk", 23, dt.date(2027, 3, 28), utc(2027, 3, 28, 1)),
    ],
    ids=[
        "Samoa skipped 30 December",
        "Kwajalein skipped 21 August",
        "Nuuk in 2024",
        "Nuuk in 2025",
        "Nuuk in 2027",
    ],
)
def test_local_date_is_always_the_date_of_the_instant(asked_at, zone, hour, due_on, due_at):
    due = add_months(asked_at, months=1, zone=zone, hour=hour)
    assert due == DueDate(local_date=due_on, instant=due_at)
    assert due.instant.astimezone(ZoneInfo(zone)).date() == due.local_date


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "Europe/Atlantis",
        "europe/amsterdam",
        "Europe/Amsterdam ",
        "Europe/Amsterdam\0",
        "Europe",
        "../etc/passwd",
        "Europe/../UTC",
        "/etc/localtime",
        "/usr/share/zoneinfo/UTC",
        "localtime",
        "posixrules",
        "posix/UTC",
        "right/UTC",
        "tzdata.zi",
        "zone.tab",
        "+02:00",
        "EST5EDT,M3.2.0,M11.1.0",
        "Etc/Unknown",
    ],
)
def test_unknown_timezone_is_refused(name):
    assert not is_timezone(name)
    with pytest.raises(UnknownTimezone) as error:
        add_months(utc(2026, 11, 23), months=1, zone=name, hour=9)
    assert error.value.field == "timezone"


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Kyiv", "Europe/Kiev", "Asia/Calcutta", "America/Argentina/Buenos_Aires"]
)
def test_zones_and_their_old_names_from_browsers_are_known(name):
    assert is_timezone(name)


def test_naive_datetime_is_refused():
    with pytest.raises(ValueError, match="naive"):
        add_months(dt.datetime(2026, 11, 23), months=1, zone="UTC", hour=9)  # noqa: DTZ001 -- the error under test


def test_zone_database_of_the_machine_is_not_used(tmp_path: Path):
    """A wrong Amsterdam on the machine does not change the due date, which follows the pinned database."""
    wrong = tmp_path / "Europe" / "Amsterdam"
    wrong.parent.mkdir()
    wrong.write_bytes(resources.files("tzdata.zoneinfo").joinpath("Pacific", "Kiritimati").read_bytes())
    code = (
        "import datetime as dt, zoneinfo; from service.domain.calendar import add_months;"
        "asked_at = dt.datetime(2026, 11, 23, 15, tzinfo=dt.UTC);"
        "due = add_months(asked_at, months=1, zone='Europe/Amsterdam', hour=9);"
        "print(due.instant.isoformat(), due.instant.astimezone(zoneinfo.ZoneInfo('Europe/Amsterdam')).hour)"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONTZPATH": str(tmp_path)},
    )
    assert completed.stdout.split() == ["2026-12-23T08:00:00+00:00", "9"]
