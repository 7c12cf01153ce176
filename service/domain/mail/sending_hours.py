"""The hours in which a late mail may leave: readers are written to by day, by their own clock."""

import datetime
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.domain.calendar import at_local_hour


@dataclass(frozen=True)
class SendingHours:
    """From the hour `start_hour` (0 to 23) until before the hour `end_hour` (1 to 24), local time."""

    start_hour: int
    end_hour: int

    def next_allowed(self, now: datetime.datetime, zone: str) -> datetime.datetime:
        """Return `now` if a reader in this zone may be written to at once, else the next instant when they may."""
        try:
            local = now.astimezone(ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError):
            # A zone that nobody knows keeps no hours; whoever writes the letter says what is wrong with it.
            return now
        if self.start_hour <= local.hour < self.end_hour:
            return now
        day = local.date() if local.hour < self.start_hour else local.date() + datetime.timedelta(days=1)
        return at_local_hour(day, zone=zone, hour=self.start_hour).instant
