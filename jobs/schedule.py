"""The table of jobs: what runs how often."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobs.abuse_reports import read_abuse_reports
from jobs.cleanup import (
    expire_pledges,
    purge_event_payloads,
    purge_idempotency_keys,
    purge_images,
    purge_job_runs,
    purge_notifications,
    purge_reader_data,
)
from jobs.emails import recover_expired_leases, send_emails, send_urgent_emails
from jobs.monitoring import mark_dead_workers, send_heartbeat
from jobs.notifications import queue_renewal_notifications
from jobs.payments import fetch_balance_transactions, process_gateway_events, reconcile_payments
from jobs.privacy import erase_supporters, fold_addresses
from jobs.reminders import enqueue_reminders
from service.container import Container


@dataclass(frozen=True)
class Job:
    """A function that runs every `every_seconds` seconds, never twice at once in one worker.

    It returns counts of what it did, or None if it did not look for work, such as while the circuit breaker is
    open. Its runs are recorded (see `service.domain.monitoring.job_runs`) unless `record_runs` is false. With
    `needs_keys` it does nothing in a process that lacks the database's keys. `name` is public: it is in the CLI,
    the metrics and the database.
    """

    name: str
    run: Callable[[Container, threading.Event], Mapping[str, int] | None]
    every_seconds: int
    record_runs: bool = True
    needs_keys: bool = False


JOBS = (
    Job("beat", send_heartbeat, 5, record_runs=False),
    Job("enqueue_reminders", enqueue_reminders, 2, needs_keys=True),
    Job("send_emails", send_emails, 2, needs_keys=True),
    Job("send_urgent_emails", send_urgent_emails, 2, needs_keys=True),
    Job("recover_emails", recover_expired_leases, 5),
    Job("apply_gateway_events", process_gateway_events, 2, needs_keys=True),
    Job("note_vanished_workers", mark_dead_workers, 30),
    Job("fetch_balances", fetch_balance_transactions, 60, needs_keys=True),
    Job("reconcile", reconcile_payments, 600, needs_keys=True),
    Job("announce_renewals", queue_renewal_notifications, 3600, needs_keys=True),
    Job("read_abuse_reports", read_abuse_reports, 60, needs_keys=True),
    Job("erase_supporters", erase_supporters, 30, needs_keys=True),
    Job("fold_addresses", fold_addresses, 60, needs_keys=True),
    Job("expire_pledges", expire_pledges, 600),
    Job("purge_event_payloads", purge_event_payloads, 3600),
    Job("purge_idempotency_keys", purge_idempotency_keys, 3600),
    Job("purge_job_runs", purge_job_runs, 3600),
    Job("purge_images", purge_images, 3600),
    Job("purge_notifications", purge_notifications, 3600),
    Job("purge_reader_data", purge_reader_data, 3600),
)
