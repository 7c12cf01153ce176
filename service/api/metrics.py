"""The desk's numbers as Prometheus reads them."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.db.session import Database
from service.domain.email.counters import read_counters
from service.domain.monitoring.status_counts import CachedStatusCounts, StatusCounts
from service.domain.monitoring.summary import last_heartbeat
from service.domain.notifications.queue import oldest_due_notification_age
from service.domain.reminders.queue import MAX_COUNTED, count_due, oldest_due_age
from service.web import current_container, read_only


class MetricsCollector(Collector):
    """Reads the numbers when they are asked for, so that every process gives the same ones."""

    def collect(self) -> Iterator[Metric]:
        """Yield what is true at this instant, and then what is counted less often."""
        now = current_container().clock()
        with read_only() as session:
            beat, mails = last_heartbeat(session), read_counters(session)
            due, waited = count_due(session, now=now), oldest_due_age(session, now=now)
            told_late = oldest_due_notification_age(session, now=now)
        yield GaugeMetricFamily(
            "mainstay_reminders_due",
            f"Reminders that wait to be sent now; no more than {MAX_COUNTED} are counted.",
            value=due,
        )
        yield GaugeMetricFamily(
            "mainstay_reminders_oldest_due_age_seconds",
            "How long the oldest due reminder has waited; 0 when none is due.",
            value=waited.total_seconds() if waited else 0,
        )
        yield GaugeMetricFamily(
            "mainstay_notices_oldest_due_age_seconds",
            "How long the oldest due receipt or other notice has waited; 0 when none is due.",
            value=told_late.total_seconds() if told_late else 0,
        )
        ends = CounterMetricFamily("mainstay_mails", "Mails by what became of them.", labels=["outcome"])
        for outcome, count in mails.items():
            ends.add_metric([outcome], count)
        yield ends
        if beat is not None:
            yield GaugeMetricFamily(
                "mainstay_worker_heartbeat_age_seconds",
                "Time since a worker was last seen alive.",
                value=(now - beat).total_seconds(),
            )
        standing = cached_status_counts(current_container().database).latest()
        if standing is not None:
            yield from _status_metrics(standing)


@lru_cache(maxsize=1)
def cached_status_counts(database: Database) -> CachedStatusCounts:
    """Return the counts that this process keeps of a database."""
    return CachedStatusCounts(database.read_only)


def _status_metrics(standing: StatusCounts) -> Iterator[Metric]:
    kept = "counted anew now and then, less often the longer it takes"
    yield _gauge("mainstay_pledges", f"How many pledges stand where, {kept}.", "status", standing.pledges.items())
    yield _gauge(
        "mainstay_reminders", f"How many reminders stand where, {kept}.", "status", standing.reminders.items()
    )
    yield _gauge("mainstay_notices", f"How many notices stand where, {kept}.", "status", standing.notices.items())
    yield _gauge(
        "mainstay_suppressed_addresses",
        f"How many addresses get no more mail, of one campaign or of any, and why; {kept}.",
        "reason",
        standing.suppressed.items(),
    )
    succeeded = [
        (job, found.succeeded_at.timestamp()) for job, found in standing.jobs.items() if found.succeeded_at
    ]
    yield _gauge(
        "mainstay_job_last_success_timestamp_seconds",
        "When a job last ended without an error, whether or not there was anything to do.",
        "job",
        succeeded,
    )
    running = [(job, found.running) for job, found in standing.jobs.items()]
    yield _gauge("mainstay_job_running", "How many workers are at a job.", "job", running)


def _gauge(name: str, says: str, label: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, says, labels=[label])
    for word, value in values:
        gauge.add_metric([word], value)
    return gauge
