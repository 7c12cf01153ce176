"""When an email may be sent: the rate limit that all workers share, and the hours in a reader's time zone."""

import datetime
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.db.models.email import SendRateLimit
from service.db.upsert import dialect_insert
from service.domain.calendar import at_local_hour

SERVER_KEY = "mail"


def reserve_send_slots(
    session: Session, *, rate: float, count: int, now: datetime.datetime
) -> list[datetime.datetime]:
    """Reserve the next `count` instants at which an email may be sent, `rate` of them a second.

    Unused slots do not accumulate: after an idle hour emails are sent at the rate, and not in a burst.
    """
    interval = datetime.timedelta(seconds=1 / rate)
    session.execute(
        dialect_insert(session, SendRateLimit)
        .values(server=SERVER_KEY, next_slot_at=now)
        .on_conflict_do_nothing(index_elements=[SendRateLimit.server])
    )
    limit = session.scalars(
        select(SendRateLimit).where(SendRateLimit.server == SERVER_KEY).with_for_update()
    ).one()
    first = max(limit.next_slot_at, now)
    limit.next_slot_at = first + interval * count
    return [first + interval * number for number in range(count)]


def release_send_slots(session: Session, *, now: datetime.datetime) -> None:
    """Let the next slot be now, after the clock was set back: what was reserved would be far ahead."""
    session.execute(update(SendRateLimit).where(SendRateLimit.next_slot_at > now).values(next_slot_at=now))


@dataclass(frozen=True)
class SendingHours:
    """The hours of a day from `start_hour` (0 to 23) until before `end_hour` (1 to 24), in local time."""

    start_hour: int
    end_hour: int

    def next_allowed(self, now: datetime.datetime, zone: str) -> datetime.datetime:
        """Return `now` if it is within the hours in this time zone, else the instant when they start next."""
        try:
            local = now.astimezone(ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError):
            # An unknown zone has no hours. Rendering the email reports what is wrong with it.
            return now
        if self.start_hour <= local.hour < self.end_hour:
            return now
        day = local.date() if local.hour < self.start_hour else local.date() + datetime.timedelta(days=1)
        return at_local_hour(day, zone=zone, hour=self.start_hour).instant
