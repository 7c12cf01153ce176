"""Deletes notices that were told long ago, and wishes to sign in that are over."""

import threading

import structlog

from service.desk import Desk
from service.domain.keeping.notice_retention import forget_finished_notices, forget_sign_ins

log = structlog.get_logger()


def forget_notices(desk: Desk, stop: threading.Event) -> dict[str, int]:
    """Delete them all, a batch at a time."""
    counts = {"notices": 0, "sign_ins": 0}
    for name, forget in (("sign_ins", forget_sign_ins), ("notices", forget_finished_notices)):
        while not stop.is_set():
            with desk.database.transaction() as session:
                batch = forget(session, now=desk.clock())
            if not batch:
                break
            counts[name] += batch
    if any(counts.values()):
        log.info("notices_forgotten", **counts)
    return counts
