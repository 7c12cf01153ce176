"""How fast mails leave, counted in the database for all workers together."""

import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.models.email import SendRateLimit
from service.db.upsert import dialect_insert

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
        .values(server=SERVER_KEY, free_from=now)
        .on_conflict_do_nothing(index_elements=[SendRateLimit.server])
    )
    pace = session.scalars(select(SendRateLimit).where(SendRateLimit.server == SERVER_KEY).with_for_update()).one()
    first = max(pace.free_from, now)
    pace.free_from = first + apart * count
    return [first + apart * number for number in range(count)]
