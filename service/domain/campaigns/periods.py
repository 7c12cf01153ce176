"""Periods in the filters of staff: a day is a day of each campaign's own calendar, as on its receipts."""

import datetime
from collections.abc import Iterator, Mapping

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.db.models.campaign import Campaign
from service.domain.calendar import start_of_day

# Whose days count: each time zone with the condition on the rows that it counts for.
Calendars = Mapping[str, ColumnElement[bool]]

Instant = ColumnElement[datetime.datetime] | InstrumentedAttribute[datetime.datetime]

UTC = "UTC"
DAY = datetime.timedelta(days=1)


def calendars(session: Session, tz: str | None) -> Calendars:
    """Return the calendar of `tz` for every row, or if None, of the campaign that the row is joined with.

    A row without a campaign has the calendar of UTC.
    """
    if tz is not None:
        return {tz: true()}
    own_zone = func.coalesce(Campaign.timezone, UTC)
    zones = {UTC, *session.scalars(select(Campaign.timezone).distinct())}
    return {zone: own_zone == zone for zone in sorted(zones)}


def is_in_period(
    instant: Instant,
    start: datetime.date | None,
    end: datetime.date | None,
    calendars: Calendars,
) -> ColumnElement[bool]:
    """Return the condition that an instant is not before `start` and, for an instant, before `end`.

    A day stands for the whole of it at both ends. None leaves that end open.
    """
    return or_(*(and_(condition, *_bounds(instant, start, end, zone)) for zone, condition in calendars.items()))


def _bounds(
    instant: Instant,
    start: datetime.date | None,
    end: datetime.date | None,
    zone: str,
) -> Iterator[ColumnElement[bool]]:
    if isinstance(start, datetime.datetime):
        yield instant >= start
    elif start is not None:
        yield instant >= start_of_day(start, zone=zone)
    if isinstance(end, datetime.datetime):
        yield instant < end
    elif end is not None:
        yield instant < start_of_day(end + DAY, zone=zone)
