"""Forgets what the gateway's events said, once nobody needs to read it again."""

import threading

from service.desk import Desk
from service.domain.events.inbox import forget_payloads


def forget_event_payloads(desk: Desk, stop: threading.Event) -> dict[str, int]:
    """Forget payloads that are over ninety days old, a batch at a time."""
    forgotten = 0
    while not stop.is_set():
        with desk.database.transaction() as session:
            batch = forget_payloads(session, now=desk.clock())
        if not batch:
            break
        forgotten += batch
    return {"forgotten": forgotten}
