"""Dispatch: real workers beside bare loops over smtplib, each with as many mails into the same kind of sink."""

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
    """So many workers with so many connections each."""

    workers: int
    connections: int

    @property
    def name(self) -> str:
        """Say who this is."""
        workers = "one worker" if self.workers == 1 else f"{self.workers} workers"
        return f"ours, {workers}, {self.connections} connection{'s' if self.connections > 1 else ''} each"


WORKER_SETUPS = (WorkerSetup(1, 1), WorkerSetup(1, 2), WorkerSetup(1, 4), WorkerSetup(2, 1), WorkerSetup(2, 2))
READY, BUILT = "smtplib loop, mails ready-made", "smtplib loop, mails built in turn"
RECORDED = "smtplib loop, ready-made, a row before each"
STRATEGIES = {READY: "ready", BUILT: "built", RECORDED: "recorded"}


def run(benchmark_database: BenchmarkDatabase, *, mails: int, crews: tuple[WorkerSetup, ...], rounds: int) -> str:
    """Send so many mails in each way, in turn; return the figures."""
    url = benchmark_database.database("dispatch")
    speeds: dict[str, list[float]] = {name: [] for name in (*STRATEGIES, *(crew.name for crew in crews))}
    sizes: dict[str, int] = {}
    for _ in range(rounds):
        _make_due(url, mails)
        sample = _sample(url)
        for name, way in STRATEGIES.items():
            tally = _send_baseline(url, way, sample, mails)
            speeds[name].append(_speed(tally, mails, name))
            sizes[name] = tally.bytes // mails
        for crew in crews:
            _make_due(url, mails)
            tally = _send_mainstay(url, crew, mails)
            speeds[crew.name].append(_speed(tally, mails, crew.name))
            sizes[crew.name] = tally.bytes // mails
    return _table(speeds, sizes, f"{mails:,} mails, median of {rounds}")


def _make_due(url: str, mails: int) -> None:
    """Leave nothing in the database but so many reminders, each due by now."""
    with psycopg.connect(url) as connection:
        connection.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
    fill(url, Dataset(mails, datetime.now(UTC), idle=mails), (KEYS,), quietly=True)


def _settings(port: int, connections: int = 1) -> dict[str, str]:
    return {
        "MAIL_URL": f"smtp://127.0.0.1:{port}?tls=none",
        "MAIL_FROM": SENDER,
        "MAIL_CONNECTIONS": str(connections),
        "SENDING_HOURS": "any",
        "PUBLIC_URL": "https://support.paper.example",
    }


def _sample(url: str) -> bytes:
    """Return a mail as a worker would send it, and send nothing."""
    container = container_for(url, **_settings(25))
    payload = {"worker": container.worker_id, "now": utc_now(), "limit": 1, "lease": LEASE, "keep_hours": False}
    with container.database.transaction() as session:
        claims = claim_due_reminders(session, **payload).claims
        prepared = build_reminder_emails(session, claims, links=container.urls, now=utc_now(), month_seconds=None)
        session.rollback()
    container.database.engine.dispose()
    return container.reminder_mailers[0].render(prepared.emails[0][1]).content


def _send_baseline(url: str, way: str, sample: bytes, mails: int) -> SinkStats:
    with SmtpSink() as sink:
        command = [
            sys.executable,
            "-m",
            "benchmarks.baselines.smtplib_sender",
            way,
            str(sink.port),
            str(mails),
            url,
        ]
        subprocess.run(command, input=sample, cwd=ROOT, check=True)
        return sink.tally()


def _send_mainstay(url: str, crew: WorkerSetup, mails: int) -> SinkStats:
    with ExitStack() as stack:
        sink = stack.enter_context(SmtpSink())
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="mainstay-bench-")))
        for number in range(crew.workers):
            log = folder / f"worker-{number}.log"
            stack.enter_context(worker(url, log, **_settings(sink.port, crew.connections)))
        tally = sink.wait_for(mails)
        wait_until(lambda: _count_sent(url) == mails, what="every reminder to be recorded as sent")
        return tally


def _count_sent(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM reminders WHERE status = 'sent'").fetchone()
    return int(found[0]) if found else 0


def _speed(tally: SinkStats, mails: int, name: str) -> float:
    if (tally.mails, tally.different) != (mails, mails):
        raise SystemExit(f"{name}: {tally.mails} mails, {tally.different} different ones, instead of {mails}")
    return (mails - 1) / tally.seconds


def _table(speeds: dict[str, list[float]], sizes: dict[str, int], title: str) -> str:
    bases = {READY: "/ ready-made", BUILT: "/ built in turn", RECORDED: "/ with a row"}
    lines = [
        f"{title:44}{'mails/s':>9}{'bytes':>7}   {''.join(f'{words:22}' for words in bases.values())}".rstrip()
    ]
    for name, own in speeds.items():
        shares = ""
        for base in bases:
            ratios = [one / other for one, other in zip(own, speeds[base], strict=True)]
            shares += f"{f'{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})':22}"
        lines.append(f"{name:44}{statistics.median(own):>9,.0f}{sizes[name]:>7,}   {shares}".rstrip())
    return "\n".join(lines)
