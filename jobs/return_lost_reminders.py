"""Takes up reminders whose worker vanished, by what is on record of their mails."""

import threading
from collections import Counter
from collections.abc import Mapping

import structlog

from jobs.reminder_books import delivery_policy
from service.container import Container
from service.domain.reminders import delivery as settling

log = structlog.get_logger()


def recover_expired_reminder_leases(container: Container, stop: threading.Event) -> Mapping[str, int]:
    """Settle every reminder whose lease has ended; return how many came to which end."""
    counts: Counter[str] = Counter()
    while not stop.is_set():
        with container.database.transaction() as session:
            some = settling.recover_expired_leases(
                session, rules=delivery_policy(container), now=container.clock()
            )
        if not some:
            break
        counts.update(some)
    if counts:
        log.warning("lost_reminders_returned", **counts)
    return counts
