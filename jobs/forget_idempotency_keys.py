"""Deletes idempotency keys that nobody will send again."""

import threading

import structlog

from service.desk import Desk
from service.domain.pledges.idempotency import forget_old_keys

log = structlog.get_logger()


def forget_idempotency_keys(desk: Desk, _stop: threading.Event) -> dict[str, int]:
    """Delete the keys that are over a week old."""
    with desk.database.transaction() as session:
        forgotten = forget_old_keys(session, now=desk.clock())
    if forgotten:
        log.info("idempotency_keys_forgotten", count=forgotten)
    return {"forgotten": forgotten}
