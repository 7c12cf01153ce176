"""The hours in which a late mail may leave: readers are written to by day, by their own clock."""

import datetime
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.domain.calendar import at_hour


@dataclass(frozen=True)
class SendingHours:
    """From the hour `opens` (0 to 23) until before the hour `closes` (1 to 24), local time."""

    opens: int
    closes: int

    def next_opening(self, now: datetime.datetime, zone: str) -> datetime.datetime:
        """Return `now` if a reader in this zone may be written to at once, else the next instant when they may."""
        try:
            local = now.astimezone(ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError):
            # A zone that nobody knows keeps no hours; whoever writes the letter says what is wrong with it.
            return now
        if self.opens <= local.hour < self.closes:
            return now
        day = local.date() if local.hour < self.opens else local.date() + datetime.timedelta(days=1)
        return at_hour(day, zone=zone, hour=self.opens).at
