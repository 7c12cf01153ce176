"""How fast mails leave, counted in the database for all workers together."""

import datetime
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.models.email import SendRateLimit
from service.db.upsert import dialect_insert
from service.domain.calendar import at_local_hour

SERVER_KEY = "mail"


def reserve_send_slots(
    session: Session, *, rate: float, count: int, now: datetime.datetime
) -> list[datetime.datetime]:
    """Take the next `count` instants at which a mail may leave, `rate` of them a second.

    What nobody used in time is not saved up: after a quiet hour mails leave at the rate, and not all at once.
    """
    apart = datetime.timedelta(seconds=1 / rate)
    session.execute(
        dialect_insert(session, SendRateLimit)
        .values(server=SERVER_KEY, next_slot_at=now)
        .on_conflict_do_nothing(index_elements=[SendRateLimit.server])
    )
    pace = session.scalars(select(SendRateLimit).where(SendRateLimit.server == SERVER_KEY).with_for_update()).one()
    first = max(pace.next_slot_at, now)
    pace.next_slot_at = first + apart * count
    return [first + apart * number for number in range(count)]


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
