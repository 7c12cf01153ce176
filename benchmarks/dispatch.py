"""Compares real workers with plain smtplib loops; each sends the same number of emails to an SMTP sink."""

import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.claims import LEASE
from benchmarks.database import BenchmarkDatabase, container_for
from benchmarks.dataset import Dataset
from benchmarks.fill import TABLES, fill
from benchmarks.smtp_sink import SinkStats, SmtpSink
from service.container import utc_now
from service.domain.reminders.emails import build_reminder_emails
from service.domain.reminders.queue import claim_due_reminders
from tests.processes import KEYS, ROOT, wait_until, worker

SENDER = "The Paper <support@paper.example>"


@dataclass(frozen=True)
class WorkerSetup:
    """A number of workers, and of SMTP connections for each."""

    workers: int
    connections: int

    @property
    def name(self) -> str:
        """The label in the output."""
        workers = "one worker" if self.workers == 1 else f"{self.workers} workers"
        return f"ours, {workers}, {self.connections} connection{'s' if self.connections > 1 else ''} each"


WORKER_SETUPS = (WorkerSetup(1, 1), WorkerSetup(1, 2), WorkerSetup(1, 4), WorkerSetup(2, 1), WorkerSetup(2, 2))
PREBUILT, BUILT = "smtplib loop, emails prebuilt", "smtplib loop, emails built one by one"
RECORDED = "smtplib loop, prebuilt, one row before each"
STRATEGIES = {PREBUILT: "prebuilt", BUILT: "built", RECORDED: "recorded"}


def run(databases: BenchmarkDatabase, *, emails: int, setups: tuple[WorkerSetup, ...], rounds: int) -> str:
    """Send `emails` emails by each strategy and worker setup, in alternating rounds; return the figures."""
    url = databases.database("dispatch")
    speeds: dict[str, list[float]] = {name: [] for name in (*STRATEGIES, *(setup.name for setup in setups))}
    sizes: dict[str, int] = {}
    for _ in range(rounds):
        _make_due(url, emails)
        sample = _sample(url)
        for name, strategy in STRATEGIES.items():
            stats = _send_baseline(url, strategy, sample, emails)
            speeds[name].append(_speed(stats, emails, name))
            sizes[name] = stats.bytes // emails
        for setup in setups:
            _make_due(url, emails)
            stats = _send_mainstay(url, setup, emails)
            speeds[setup.name].append(_speed(stats, emails, setup.name))
            sizes[setup.name] = stats.bytes // emails
    return _table(speeds, sizes, f"{emails:,} emails, median of {rounds}")


def _make_due(url: str, emails: int) -> None:
    """Replace all reminders by `emails` reminders that are due."""
    with psycopg.connect(url) as connection:
        connection.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
    fill(url, Dataset(emails, datetime.now(UTC), clustered=emails), (KEYS,), quiet=True)


def _settings(port: int, connections: int = 1) -> dict[str, str]:
    return {
        "MAIL_URL": f"smtp://127.0.0.1:{port}?tls=none",
        "MAIL_FROM": SENDER,
        "MAIL_CONNECTIONS": str(connections),
        "SENDING_HOURS": "any",
        "PUBLIC_URL": "https://support.paper.example",
    }


def _sample(url: str) -> bytes:
    """Return one email as a worker would send it."""
    container = container_for(url, **_settings(25))
    with container.database.transaction() as session:
        claims = claim_due_reminders(
            session,
            worker=container.worker_id,
            now=utc_now(),
            limit=1,
            lease=LEASE,
            respect_sending_hours=False,
        ).claims
        prepared = build_reminder_emails(session, claims, urls=container.urls, now=utc_now(), month_seconds=None)
        session.rollback()
    container.database.engine.dispose()
    return container.reminder_mailers[0].render(prepared.emails[0][1]).content


def _send_baseline(url: str, strategy: str, sample: bytes, emails: int) -> SinkStats:
    with SmtpSink() as sink:
        command = [
            sys.executable,
            "-m",
            "benchmarks.baselines.smtplib_sender",
            strategy,
            str(sink.port),
            str(emails),
            url,
        ]
        subprocess.run(command, input=sample, cwd=ROOT, check=True)
        return sink.stats()


def _send_mainstay(url: str, setup: WorkerSetup, emails: int) -> SinkStats:
    with ExitStack() as stack:
        sink = stack.enter_context(SmtpSink())
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="mainstay-bench-")))
        for number in range(setup.workers):
            log = folder / f"worker-{number}.log"
            stack.enter_context(worker(url, log, **_settings(sink.port, setup.connections)))
        stats = sink.wait_for(emails)
        wait_until(lambda: _count_sent(url) == emails, what="every reminder to be recorded as sent")
        return stats


def _count_sent(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM reminders WHERE status = 'sent'").fetchone()
    return int(found[0]) if found else 0


def _speed(stats: SinkStats, emails: int, name: str) -> float:
    """Return emails per second; stop if the sink did not accept each email exactly once."""
    if (stats.emails, stats.distinct) != (emails, emails):
        raise SystemExit(f"{name}: expected {emails} emails, not {stats.emails} with {stats.distinct} Message-IDs")
    return (emails - 1) / stats.seconds


def _table(speeds: dict[str, list[float]], sizes: dict[str, int], title: str) -> str:
    bases = {PREBUILT: "/ prebuilt", BUILT: "/ built one by one", RECORDED: "/ with a row"}
    lines = [
        f"{title:44}{'emails/s':>9}{'bytes':>7}   {''.join(f'{label:22}' for label in bases.values())}".rstrip()
    ]
    for name, own in speeds.items():
        shares = ""
        for base in bases:
            ratios = [ours / theirs for ours, theirs in zip(own, speeds[base], strict=True)]
            shares += f"{f'{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})':22}"
        lines.append(f"{name:44}{statistics.median(own):>9,.0f}{sizes[name]:>7,}   {shares}".rstrip())
    return "\n".join(lines)
