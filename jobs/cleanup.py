"""Deletes what nobody needs any more, and expires pledges whose checkout was abandoned."""

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import structlog

from service.container import Container
from service.domain.monitoring import job_runs as job_runs
from service.domain.payments.inbox import purge_payloads
from service.domain.pledges.idempotency import purge_expired_keys
from service.domain.pledges.pledges import expire_abandoned_pledges
from service.domain.privacy import retention as retention
from service.domain.privacy.retention import (
    purge_finished_reminders,
    purge_outbox,
    purge_sign_ins,
    purge_unconfirmed_reminders,
)

log = structlog.get_logger()

Batch = TypeVar("Batch")


def run_in_batches(
    container: Container, stop: threading.Event, step: Callable[..., Batch | None]
) -> Iterator[Batch]:
    """Run each step in a transaction of its own, until one has nothing to do or `stop` is set; yield what it did.

    A step takes the session and, by its name, `now`.
    """
    while not stop.is_set():
        with container.database.transaction() as session:
            done = step(session, now=container.clock())
        if not done:
            break
        yield done


def expire_pledges(container: Container, stop: threading.Event) -> dict[str, int]:
    """Expire pledges whose checkout was abandoned a day ago."""
    expired = 0
    for count in run_in_batches(container, stop, expire_abandoned_pledges):
        log.info("pledges_expired", count=count)
        expired += count
    return {"expired": expired}


def purge_event_payloads(container: Container, stop: threading.Event) -> dict[str, int]:
    """Forget payloads of the gateway's events that are over ninety days old."""
    return {"forgotten": sum(run_in_batches(container, stop, purge_payloads))}


def purge_idempotency_keys(container: Container, _stop: threading.Event) -> dict[str, int]:
    """Delete the idempotency keys that are over a week old, all at once: nobody will send them again."""
    with container.database.transaction() as session:
        forgotten = purge_expired_keys(session, now=container.clock())
    if forgotten:
        log.info("idempotency_keys_forgotten", count=forgotten)
    return {"forgotten": forgotten}


def purge_job_runs(container: Container, stop: threading.Event) -> dict[str, int]:
    """Delete the record of runs that are over thirty days old."""
    return {"forgotten": sum(run_in_batches(container, stop, job_runs.purge_job_runs))}


def purge_notifications(container: Container, stop: threading.Event) -> dict[str, int]:
    """Delete notices that were told long ago, and wishes to sign in that are over."""
    # With a wish to sign in goes the notice that brought its link.
    sign_ins = sum(run_in_batches(container, stop, purge_sign_ins))
    counts = {"notices": sum(run_in_batches(container, stop, retention.purge_notifications)), "sign_ins": sign_ins}
    if any(counts.values()):
        log.info("notices_forgotten", **counts)
    return counts


def purge_reader_data(container: Container, stop: threading.Event) -> dict[str, int]:
    """Delete what need not be known of readers: reminders that are over or that nobody confirmed, old mails."""
    counts = {"reminders": 0, "supporters": 0, "mails": 0}
    for forget in (purge_unconfirmed_reminders, purge_finished_reminders):
        for forgotten in run_in_batches(container, stop, forget):
            log.info("readers_forgotten", reminders=forgotten.reminders, supporters=forgotten.supporters)
            counts["reminders"] += forgotten.reminders
            counts["supporters"] += forgotten.supporters
    for mails in run_in_batches(container, stop, purge_outbox):
        log.info("kept_mails_forgotten", count=mails)
        counts["mails"] += mails
    return counts
