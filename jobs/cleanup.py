"""Purges data whose retention period has passed, and expires pledges whose checkout was abandoned."""

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import structlog

from service.container import Container
from service.domain.campaigns.brand import delete_unused_images
from service.domain.email.mailbox_limits import purge_mailbox_limits
from service.domain.email.webhook_proofs import purge_used_proofs
from service.domain.monitoring import job_runs
from service.domain.payments.inbox import purge_payloads
from service.domain.pledges.idempotency import purge_expired_keys
from service.domain.pledges.pledges import expire_abandoned_pledges
from service.domain.privacy import retention
from service.domain.privacy.erasure import purge_erasures

log = structlog.get_logger()

Batch = TypeVar("Batch")


def expire_pledges(container: Container, stop: threading.Event) -> dict[str, int]:
    """Expire pledges whose checkout was abandoned a day ago."""
    total = 0
    for count in run_in_batches(container, stop, expire_abandoned_pledges):
        log.info("pledges_expired", count=count)
        total += count
    return {"expired": total}


def purge_event_payloads(container: Container, stop: threading.Event) -> dict[str, int]:
    """Purge the payloads of gateway events older than 90 days."""
    return {"purged": sum(run_in_batches(container, stop, purge_payloads))}


def purge_idempotency_keys(container: Container, _stop: threading.Event) -> dict[str, int]:
    """Purge idempotency keys older than a week."""
    with container.database.transaction() as session:
        purged = purge_expired_keys(session, now=container.clock())
    if purged:
        log.info("idempotency_keys_purged", count=purged)
    return {"purged": purged}


def purge_job_runs(container: Container, stop: threading.Event) -> dict[str, int]:
    """Purge job runs older than 30 days."""
    return {"purged": sum(run_in_batches(container, stop, job_runs.purge_job_runs))}


def purge_images(container: Container, _stop: threading.Event) -> dict[str, int]:
    """Delete the logos that no campaign has used for long."""
    with container.database.transaction() as session:
        return {"purged": delete_unused_images(session, now=container.clock())}


def purge_notifications(container: Container, stop: threading.Event) -> dict[str, int]:
    """Purge old notifications, sign-in requests, and requests to change an address or to be erased."""
    # Deleting a request cascades to the notification with its link.
    counts = {
        "sign_ins": sum(run_in_batches(container, stop, retention.purge_sign_ins)),
        "email_changes": sum(run_in_batches(container, stop, retention.purge_email_changes)),
        "erasure_requests": sum(run_in_batches(container, stop, retention.purge_erasure_requests)),
        "notices": sum(run_in_batches(container, stop, retention.purge_notifications)),
    }
    if any(counts.values()):
        log.info("notifications_purged", **counts)
    return counts


def purge_reader_data(container: Container, stop: threading.Event) -> dict[str, int]:
    """Purge finished and unconfirmed reminders, the supporters who then have nothing left, and stored emails."""
    counts = {"reminders": 0, "supporters": 0, "stored_emails": 0}
    for purge in (retention.purge_unconfirmed_reminders, retention.purge_finished_reminders):
        for purged in run_in_batches(container, stop, purge):
            log.info("reader_data_purged", reminders=purged.reminders, supporters=purged.supporters)
            counts["reminders"] += purged.reminders
            counts["supporters"] += purged.supporters
    counts["erasures"] = sum(run_in_batches(container, stop, purge_erasures))
    for count in run_in_batches(container, stop, retention.purge_outbox):
        log.info("stored_emails_purged", count=count)
        counts["stored_emails"] += count
    with container.database.transaction() as session:
        purge_mailbox_limits(session, now=container.clock())
        purge_used_proofs(session, now=container.clock())
    return counts


def run_in_batches(
    container: Container, stop: threading.Event, step: Callable[..., Batch | None]
) -> Iterator[Batch]:
    """Call `step(session, now=...)`, each time in its own transaction, and yield what it returns.

    Ends when a step returns a false value, which means that nothing was left, or when `stop` is set.
    """
    while not stop.is_set():
        with container.database.transaction() as session:
            batch = step(session, now=container.clock())
        if not batch:
            break
        yield batch
