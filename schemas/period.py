"""Periods in the filters of lists and exports."""

import datetime
import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from schemas.base import StrictSchema
from schemas.fields import TimezoneName

DATE_OR_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?P<time>T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))?"
)

FIRST_INSTANT = datetime.datetime.min.replace(tzinfo=datetime.UTC)
LAST_INSTANT = datetime.datetime.max.replace(tzinfo=datetime.UTC)


class DayOrInstant(fields.Field[datetime.date]):
    """One end of a period: a `datetime.date` for a day, or an RFC 3339 instant with an offset, in UTC.

    The calendar of the day is known only where the period is used.
    """

    def __init__(self, *, is_end: bool = False) -> None:
        meaning = "A day (inclusive) or an instant (exclusive)." if is_end else "A day or an instant, inclusive."
        form = {"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]}
        super().__init__(metadata=form | {"description": meaning})

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> datetime.date:
        invalid = "Give a date such as 2026-12-23 or an instant such as 2026-12-23T08:00:00Z."
        # Python also accepts other forms of ISO 8601, such as weeks; RFC 3339 allows one, with a UTC offset.
        match = DATE_OR_INSTANT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValidationError(invalid)
        try:
            if match["time"] is not None:
                return _to_utc(datetime.datetime.fromisoformat(match[0]))
            day = datetime.date.fromisoformat(match[0])
        except ValueError as error:
            raise ValidationError(invalid) from error
        if day == datetime.date.max:
            # The day ends where the next one begins, which Python cannot express.
            raise ValidationError(invalid)
        return day


class PeriodQuery(StrictSchema):
    """Filters of which each `…_from` and `…_to` is one end of a period."""

    tz = TimezoneName(
        metadata={
            "description": "The IANA time zone whose days the filters mean. Without it, a day is one of each "
            "campaign's own calendar, as on its receipts.",
            "example": "UTC",
        }
    )

    @validates_schema
    def check_order(self, data: dict[str, Any], **kwargs: Any) -> None:
        """Reject a period that ends before it begins: it is a mistake, and an empty result would hide it."""
        for name, start in data.items():
            period, _, side = name.rpartition("_")
            end = data.get(f"{period}_to")
            if side == "from" and end is not None and _is_after(start, end):
                raise ValidationError({f"{period}_to": [f"This is before {name}."]})


def _to_utc(instant: datetime.datetime) -> datetime.datetime:
    """Return an instant in UTC; one that lies outside the years 1 to 9999 there, as the nearest inside."""
    try:
        return instant.astimezone(datetime.UTC)
    except OverflowError:
        return FIRST_INSTANT if instant.year == 1 else LAST_INSTANT


def _is_after(start: datetime.date, end: datetime.date) -> bool:
    if type(start) is type(end):
        return start > end
    # A day and an instant are comparable only in a known time zone, and none is more than a day away from UTC.
    return start.toordinal() - end.toordinal() > 1
