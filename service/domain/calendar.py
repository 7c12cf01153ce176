"""Due dates of reminders: calendar months in a reader's time zone.

A due date is the same day of the month, a number of calendar months later by the reader's own calendar, at the
campaign's local hour. In a month that is too short it is the last day. A local time that a clock change skips
moves forward by the gap, and one that it repeats means the first (RFC 5545 section 3.3.5, and "compatible" in
ECMAScript's Temporal).
"""

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from importlib import resources
from typing import Final

import whenever

from service.domain.errors import UnknownTimezone

# Without a search path, both libraries read only the `tzdata` package that the lock file pins. A due date must not
# depend on the zone database of the machine that computes it.
whenever.reset_tzpath(())
zoneinfo.reset_tzpath(())

# The package lists its own zones, so files beside them ("localtime", "posixrules", "tzdata.zi") are not zones.
_ZONES: Final = frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())

FIRST_INSTANT: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
LAST_INSTANT: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class DueDate:
    """When a reminder is due: `local_date` by the reader's calendar, and `instant` in UTC."""

    local_date: dt.date
    instant: dt.datetime


def is_timezone(name: str) -> bool:
    """Whether this is the exact name of a zone or a link in the IANA time zone database."""
    return name in _ZONES


def add_months(asked_at: dt.datetime, *, months: int, zone: str, hour: int) -> DueDate:
    """Return the due date `months` calendar months after a request.

    Args:
        asked_at: the instant of the request, with a time zone.
        months: the number of calendar months, 1 or more.
        zone: the IANA name of the zone whose calendar and clock count, such as "Europe/Amsterdam".
        hour: the local hour to send at, 0 to 23.

    The local date is always the date of the instant. It differs from the rule's date only where a clock change
    skips midnight (at 23:00 in Nuuk) or the whole day (Samoa had no 30 December 2011): it is then the day after,
    the day on which the email arrives.

    Raises:
        UnknownTimezone: `zone` is not a name in the IANA time zone database.
        ValueError: `asked_at` has no time zone, or `hour` or the resulting year does not exist.

    """
    _check_zone(zone)
    asked_on = whenever.Instant(asked_at).to_tz(zone).date()
    return _due(asked_on.add(months=months), zone, hour)


def next_occurrence(
    asked_at: dt.datetime, *, first_months: int, every_months: int, zone: str, hour: int, after: dt.datetime
) -> DueDate:
    """Return the next due date of a repeated reminder: the first one later than `after`.

    The due dates are `first_months` after the request, and every `every_months` after that. Each is counted from
    the day of the request and not from the one before, so that a 31st stays a 31st: 31 January, 28 February,
    31 March.

    Raises:
        UnknownTimezone, ValueError: as `add_months`.

    """
    months = first_months
    while (due := add_months(asked_at, months=months, zone=zone, hour=hour)).instant <= after:
        months += every_months
    return due


def at_local_hour(on: dt.date, *, zone: str, hour: int) -> DueDate:
    """Return the due date for a given local date, by the rule of `add_months`.

    Raises:
        UnknownTimezone, ValueError: as `add_months`.

    """
    _check_zone(zone)
    return _due(whenever.Date(on), zone, hour)


def start_of_day(on: dt.date, *, zone: str) -> dt.datetime:
    """Return the first instant of a day in a zone, in UTC. A day that a zone skipped has that of the day after.

    Where midnight does not exist, the day begins when the clock has changed. The first and the last days that
    Python knows begin at its first and end at its last instant.

    Raises:
        UnknownTimezone: `zone` is not a name in the IANA time zone database.

    """
    _check_zone(zone)
    try:
        return _due(whenever.Date(on), zone, 0).instant
    except ValueError:
        return FIRST_INSTANT if on.year == dt.MINYEAR else LAST_INSTANT


def _due(on: whenever.Date, zone: str, hour: int) -> DueDate:
    due = on.at(whenever.Time(hour)).assume_tz(zone, disambiguation="compatible")
    return DueDate(local_date=due.date().to_stdlib(), instant=due.to_instant().to_stdlib())


def _check_zone(zone: str) -> None:
    if not is_timezone(zone):
        raise UnknownTimezone(
            "This time zone is not in the IANA time zone database; write one such as Europe/Amsterdam.",
            field="timezone",
        )
