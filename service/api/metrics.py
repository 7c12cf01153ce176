"""Prometheus metrics."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.db.session import Database
from service.domain.email.counters import read_counters
from service.domain.email.queue import MAX_COUNTED, oldest_due_age
from service.domain.monitoring.status_counts import CachedStatusCounts, StatusCounts
from service.domain.monitoring.summary import last_heartbeat
from service.domain.payments.alerts import count_disputes, count_fraud_warnings
from service.domain.payments.parked import count_parked, is_about_money
from service.domain.reminders.queue import count_due_reminders, oldest_due_reminder_age
from service.web import current_container, read_only


class MetricsCollector(Collector):
    """Reads the metrics from the database on each scrape, so that every process reports the same values."""

    def collect(self) -> Iterator[Metric]:
        """Yield the current values, and then the cached status counts."""
        now = current_container().clock()
        with read_only() as session:
            heartbeat_at, outcomes = last_heartbeat(session), read_counters(session)
            due, oldest_reminder = count_due_reminders(session, now=now), oldest_due_reminder_age(session, now=now)
            oldest_email = oldest_due_age(session, now=now)
            disputes, fraud_warnings = count_disputes(session), count_fraud_warnings(session)
            parked = count_parked(session)
        yield GaugeMetricFamily(
            "mainstay_reminders_due",
            f"Reminders that are due now; the count stops at {MAX_COUNTED}.",
            value=due,
        )
        yield GaugeMetricFamily(
            "mainstay_reminders_oldest_due_age_seconds",
            "How long the oldest due reminder has waited; 0 when none is due.",
            value=oldest_reminder.total_seconds() if oldest_reminder else 0,
        )
        yield GaugeMetricFamily(
            "mainstay_emails_oldest_due_age_seconds",
            "How long the oldest due email of any kind has waited in the outbox; 0 when none is due.",
            value=oldest_email.total_seconds() if oldest_email else 0,
        )
        yield _gauge("mainstay_disputes", "Disputes and inquiries by status.", "status", disputes.items())
        yield GaugeMetricFamily(
            "mainstay_early_fraud_warnings",
            "Early fraud warnings of payments that are neither refunded nor disputed yet.",
            value=fraud_warnings,
        )
        yield _gauge(
            "mainstay_gateway_events_parked", "Events that need a person, by kind.", "kind", parked.items()
        )
        yield GaugeMetricFamily(
            "mainstay_gateway_events_parked_money",
            "Events that need a person and report money, such as a payment that fits no pledge.",
            value=sum(count for kind, count in parked.items() if is_about_money(kind)),
        )
        emails = CounterMetricFamily("mainstay_mails", "Emails by outcome.", labels=["outcome"])
        for outcome, count in outcomes.items():
            emails.add_metric([outcome], count)
        yield emails
        if heartbeat_at is not None:
            yield GaugeMetricFamily(
                "mainstay_worker_heartbeat_age_seconds",
                "Time since the last heartbeat of any worker.",
                value=(now - heartbeat_at).total_seconds(),
            )
        counts = cached_status_counts(current_container().database).latest()
        if counts is not None:
            yield from _status_metrics(counts)


@lru_cache(maxsize=1)
def cached_status_counts(database: Database) -> CachedStatusCounts:
    """Return this process's cache of status counts for a database."""
    return CachedStatusCounts(database.read_only)


def _status_metrics(counts: StatusCounts) -> Iterator[Metric]:
    cached = "cached for longer the longer the count takes"
    yield _gauge("mainstay_pledges", f"Pledges by status; {cached}.", "status", counts.pledges.items())
    yield _gauge("mainstay_reminders", f"Reminders by status; {cached}.", "status", counts.reminders.items())
    yield _gauge("mainstay_emails", f"Emails by status; {cached}.", "status", counts.emails.items())
    yield _gauge("mainstay_refunds", f"Refunds by status; {cached}.", "status", counts.refunds.items())
    yield _gauge(
        "mainstay_suppressed_addresses",
        f"Suppressed addresses, for one campaign or for all, by reason; {cached}.",
        "reason",
        counts.suppressed.items(),
    )
    succeeded = [
        (job, status.succeeded_at.timestamp()) for job, status in counts.jobs.items() if status.succeeded_at
    ]
    yield _gauge(
        "mainstay_job_last_success_timestamp_seconds",
        "When a job last finished without an error, whether or not there was anything to do.",
        "job",
        succeeded,
    )
    running = [(job, status.running) for job, status in counts.jobs.items()]
    yield _gauge("mainstay_job_running", "Workers that are running a job.", "job", running)


def _gauge(name: str, help_text: str, label: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, help_text, labels=[label])
    for label_value, value in values:
        gauge.add_metric([label_value], value)
    return gauge
