"""What runs when: one table."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobs.announce_renewals import announce_renewals
from jobs.apply_gateway_events import apply_gateway_events
from jobs.beat import beat
from jobs.cleanup import (
    expire_pledges,
    forget_event_payloads,
    forget_idempotency_keys,
    forget_job_runs,
    forget_notices,
    forget_readers,
)
from jobs.fetch_balances import fetch_balances
from jobs.note_vanished_workers import note_vanished_workers
from jobs.reconcile import reconcile
from jobs.return_lost_reminders import return_lost_reminders
from jobs.send_notices import return_lost_notices, send_notices
from jobs.send_reminders import send_reminders
from service.desk import Container


@dataclass(frozen=True)
class Job:
    """A function that runs every so many seconds, never twice at once in one worker.

    It returns how much it did of what, by name; None if it did not even look. Its runs are written down (see
    `service.domain.watch.job_record`), unless `is_recorded` is false.
    """

    name: str
    run: Callable[[Container, threading.Event], Mapping[str, int] | None]
    every_seconds: int
    is_recorded: bool = True


JOBS = (
    Job("beat", beat, 5, is_recorded=False),
    Job("send_reminders", send_reminders, 5),
    Job("return_lost_reminders", return_lost_reminders, 5),
    Job("send_notices", send_notices, 2),
    Job("return_lost_notices", return_lost_notices, 5),
    Job("apply_gateway_events", apply_gateway_events, 2),
    Job("note_vanished_workers", note_vanished_workers, 30),
    Job("fetch_balances", fetch_balances, 60),
    Job("reconcile", reconcile, 600),
    Job("announce_renewals", announce_renewals, 3600),
    Job("expire_pledges", expire_pledges, 600),
    Job("forget_event_payloads", forget_event_payloads, 3600),
    Job("forget_idempotency_keys", forget_idempotency_keys, 3600),
    Job("forget_job_runs", forget_job_runs, 3600),
    Job("forget_notices", forget_notices, 3600),
    Job("forget_readers", forget_readers, 3600),
)
