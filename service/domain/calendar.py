"""When "next month" is, for a reader in a time zone.

The rule: the same day of the month, so many calendar months later, by the reader's own calendar; the last day
of a month that is too short; at the campaign's local hour. A local time that a clock change skips moves forward
by the gap, and one that it repeats means the first: the rule of RFC 5545 section 3.3.5, which ECMAScript's
Temporal calls "compatible".
"""

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from importlib import resources
from typing import Final

import whenever

from service.domain.errors import UnknownTimezone

# A promise made on one machine must not fall on another hour because the next one has an older zone database:
# without a search path, both libraries read only the `tzdata` package that the lock file pins.
whenever.reset_tzpath(())
zoneinfo.reset_tzpath(())

# The package lists its own zones, so files beside them ("localtime", "posixrules", "tzdata.zi") are not zones.
_ZONES: Final = frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


@dataclass(frozen=True, slots=True)
class DueDate:
    """When a reminder is due: `local_date` is the date we promise, by the reader's calendar; `instant`, the
    instant in UTC.
    """

    local_date: dt.date
    instant: dt.datetime


def is_timezone(name: str) -> bool:
    """Tell whether this is the exact name of a zone, or of a link, in the IANA time zone database."""
    return name in _ZONES


def add_months(asked_at: dt.datetime, *, months: int, zone: str, hour: int) -> DueDate:
    """Find the day and the instant `months` calendar months after a reader asked.

    Args:
        asked_at: the instant at which the reader asked, with a time zone.
        months: how many calendar months later, 1 or more.
        zone: the IANA name of the zone whose calendar and clock count, such as "Europe/Amsterdam".
        hour: the local hour to send at, 0 to 23.

    The promised date is always the local date of the instant. It is another date than the rule's only where a
    clock change skips midnight (at 23:00 in Nuuk) or the whole day (Samoa had no 30 December 2011): it is then
    the day after, because we do not promise a day on which nothing will arrive.

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
    """Find when a reminder comes again: the first of its dates that lies later than `after`.

    Its dates are `first_months` after it was asked for, and every `every_months` after that. Each is counted from
    the day of asking and none from the one before, so that a 31st stays one: 31 January, 28 February, 31 March.

    Raises:
        UnknownTimezone, ValueError: as `add_months`.

    """
    months = first_months
    while (due := add_months(asked_at, months=months, zone=zone, hour=hour)).instant <= after:
        months += every_months
    return due


def at_local_hour(on: dt.date, *, zone: str, hour: int) -> DueDate:
    """Find the instant at which a promised date's mail is due, by the rule of `add_months`.

    Raises:
        UnknownTimezone, ValueError: as `add_months`.

    """
    _check_zone(zone)
    return _due(whenever.Date(on), zone, hour)


def _due(on: whenever.Date, zone: str, hour: int) -> DueDate:
    due = on.at(whenever.Time(hour)).assume_tz(zone, disambiguation="compatible")
    return DueDate(local_date=due.date().to_stdlib(), instant=due.to_instant().to_stdlib())


def _check_zone(zone: str) -> None:
    if not is_timezone(zone):
        raise UnknownTimezone(
            "This time zone is not in the IANA time zone database; write one such as Europe/Amsterdam.",
            field="timezone",
        )
