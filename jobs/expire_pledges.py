"""Expires pledges whose checkout was abandoned a day ago."""

import threading

import structlog

from service.desk import Desk
from service.domain.pledges.making import expire_abandoned_pledges

log = structlog.get_logger()


def expire_pledges(desk: Desk, stop: threading.Event) -> dict[str, int]:
    """Expire them all, a batch at a time."""
    expired = 0
    while not stop.is_set():
        with desk.database.transaction() as session:
            batch = expire_abandoned_pledges(session, now=desk.clock())
        if not batch:
            break
        log.info("pledges_expired", count=batch)
        expired += batch
    return {"expired": expired}
