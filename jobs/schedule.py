"""What runs when: one table."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from jobs.beat import beat
from jobs.expire_pledges import expire_pledges
from jobs.forget_idempotency_keys import forget_idempotency_keys
from jobs.forget_readers import forget_readers
from jobs.return_lost_reminders import return_lost_reminders
from jobs.send_reminders import send_reminders
from service.desk import Desk


@dataclass(frozen=True)
class Job:
    """A function that runs every so many seconds, never twice at once in one worker."""

    name: str
    run: Callable[[Desk, threading.Event], None]
    every_seconds: int


JOBS = (
    Job("beat", beat, 15),
    Job("send_reminders", send_reminders, 5),
    Job("return_lost_reminders", return_lost_reminders, 30),
    Job("expire_pledges", expire_pledges, 600),
    Job("forget_idempotency_keys", forget_idempotency_keys, 3600),
    Job("forget_readers", forget_readers, 3600),
)
