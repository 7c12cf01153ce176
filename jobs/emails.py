"""Sends due emails, and recovers those whose worker died."""

import threading
import uuid
from collections import Counter
from collections.abc import Mapping

import structlog

from jobs.email_dispatcher import run_dispatchers
from jobs.email_queue import EmailQueue
from service.container import Container
from service.domain.email.outbox import IMMEDIATE, PROMPT

# Few, so that a sign-in link waits behind few receipts.
URGENT_BATCH_SIZE = 20

log = structlog.get_logger()


def send_emails(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Send due emails, most urgent first; return counts by outcome, or None while the circuit breaker is open.

    Raises:
        ServerUnavailable, ServerMisconfigured: no email can be sent. Unsent ones stay due and lose no attempt.
    """
    queue = EmailQueue(container, stop, owner=container.worker_id, connections=len(container.mailers))
    return run_dispatchers(container, queue, container.mailers, stop)


def send_urgent_emails(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Send all but reminders, over a connection of their own, so that none of them waits behind a batch of those.

    Raises:
        ServerUnavailable, ServerMisconfigured: no email can be sent. Unsent ones stay due and lose no attempt.
    """
    queue = EmailQueue(
        container,
        stop,
        owner=urgent_owner(container),
        priorities=(IMMEDIATE, PROMPT),
        max_batch_size=URGENT_BATCH_SIZE,
    )
    return run_dispatchers(container, queue, [container.urgent_mailer], stop)


def recover_expired_leases(container: Container, stop: threading.Event) -> Mapping[str, int]:
    """Complete every email whose lease has expired, by its recorded outcome; return counts by outcome.

    It leaves them alone if the database was away or its clock was set forward just now: their owners may live.
    """
    queue = EmailQueue(container, stop, owner=container.worker_id)
    counts: Counter[str] = Counter()
    while not stop.is_set() and container.database_contact.is_steady and (recovered := queue.recover_leases()):
        counts.update(recovered)
    if counts:
        log.warning("lost_emails_recovered", **counts)
    return counts


def urgent_owner(container: Container) -> uuid.UUID:
    """Return what identifies this worker's connection for urgent emails in the leases."""
    return uuid.uuid5(container.worker_id, "urgent")
