"""Deletes the record of runs that nobody will ask about any more."""

import threading

from service.desk import Desk
from service.domain.watch.job_record import forget_old_runs


def forget_job_runs(desk: Desk, stop: threading.Event) -> dict[str, int]:
    """Delete runs that are over thirty days old, a batch at a time."""
    forgotten = 0
    while not stop.is_set():
        with desk.database.transaction() as session:
            batch = forget_old_runs(session, now=desk.clock())
        if not batch:
            break
        forgotten += batch
    return {"forgotten": forgotten}
