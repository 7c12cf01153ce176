"""Compares real workers with plain smtplib loops; each sends emails to an SMTP sink.

Three sinks answer at once, so that what they show is the work for each email. One of them takes one command at a
time; the others offer PIPELINING, as Postfix, Exim and relays do, and one of those takes little of the processors'
time, as a server elsewhere does. Two more answer after 1 ms, as a server in the same data centre does, and after
20 ms, as a relay elsewhere does, so that what they show is how well the waits are used.
"""

import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.database import BenchmarkDatabase
from benchmarks.dataset import Dataset
from benchmarks.fill import TABLES, fill
from benchmarks.postfix_sink import PostfixSink, find_smtp_sink
from benchmarks.smtp_sink import SinkStats, SmtpSink
from tests.processes import KEYS, ROOT, wait_until, worker

SENDER = "The Paper <support@paper.example>"
# Seconds from a command to its reply.
NEAR_DELAY, RELAY_DELAY = 0.001, 0.02
PIPELINING = ("PIPELINING",)


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


@dataclass(frozen=True)
class Plan:
    """What is sent to one sink: `emails` by each loop and by each setup, or by each of its connections."""

    sink: str
    emails: int
    rounds: int
    setups: tuple[WorkerSetup, ...]
    delay: float = 0
    extensions: tuple[str, ...] = ()
    emails_per_connection: bool = False
    sink_type: type[SmtpSink] | type[PostfixSink] = SmtpSink
    strategies: dict[str, str] = field(default_factory=dict)

    def open_sink(self) -> SmtpSink | PostfixSink:
        """Return the sink, to run in a `with` block."""
        return self.sink_type(delay=self.delay, extensions=self.extensions)

    def emails_for(self, setup: WorkerSetup) -> int:
        """Return how many emails a setup sends."""
        return self.emails * (setup.workers * setup.connections if self.emails_per_connection else 1)


def _setups(*numbers: tuple[int, int]) -> tuple[WorkerSetup, ...]:
    return tuple(WorkerSetup(*each) for each in numbers)


# Few with the servers that answer at once: connections that never wait only share the processors.
AT_ONCE_SETUPS = _setups((1, 1), (1, 4), (2, 1), (2, 2), (4, 1))
NEAR_SETUPS = _setups((1, 1), (1, 4), (2, 1))
RELAY_SETUPS = _setups((1, 1), (1, 4), (1, 8), (1, 16), (2, 8))
PREBUILT, BUILT = "smtplib loop, emails prebuilt", "smtplib loop, emails built one by one"
RECORDED = "smtplib loop, prebuilt, one row before each"
STRATEGIES = {PREBUILT: "prebuilt", BUILT: "built", RECORDED: "recorded"}
BASES = {PREBUILT: "/ prebuilt", BUILT: "/ built one by one", RECORDED: "/ with a row"}


def plans(
    *, emails: int, relay_emails: int, rounds: int, setups: tuple[WorkerSetup, ...] | None = None
) -> tuple[Plan, ...]:
    """Return the plan for each sink; with `setups`, each has these and no others."""
    # Building an email takes a fraction of the wait for one reply.
    waiting = {name: strategy for name, strategy in STRATEGIES.items() if name != BUILT}
    return (
        Plan("one command at a time, ", emails, rounds, setups or AT_ONCE_SETUPS, strategies=STRATEGIES),
        Plan(
            "PIPELINING, ", emails, rounds, setups or AT_ONCE_SETUPS, extensions=PIPELINING, strategies=STRATEGIES
        ),
        Plan(
            "PIPELINING, smtp-sink, ",
            emails,
            rounds,
            setups or AT_ONCE_SETUPS,
            extensions=PIPELINING,
            emails_per_connection=True,
            sink_type=PostfixSink,
            strategies=waiting,
        ),
        *(
            Plan(
                f"relay with {delay * 1000:.0f} ms, ",
                count,
                rounds,
                setups or own_setups,
                delay=delay,
                extensions=PIPELINING,
                emails_per_connection=True,
                strategies=waiting,
            )
            for delay, count, own_setups in (
                (NEAR_DELAY, relay_emails * 5, NEAR_SETUPS),
                (RELAY_DELAY, relay_emails, RELAY_SETUPS),
            )
        ),
    )


def run(databases: BenchmarkDatabase, plan: Plan) -> str:
    """Send the emails of a plan by each strategy and worker setup, in alternating rounds; return the figures."""
    if plan.sink_type is PostfixSink and find_smtp_sink() is None:
        return f"{plan.sink}left out: smtp-sink is not installed (Debian: sudo apt-get install postfix)"
    url = databases.database(f"dispatch_{plan.delay}_{len(plan.extensions)}_{plan.sink_type.__name__}".lower())
    speeds: dict[str, list[float]] = {
        name: [] for name in (*plan.strategies, *(each.name for each in plan.setups))
    }
    sizes: dict[str, int] = {}
    _make_due(url, 1)
    sample = _send_mainstay(url, WorkerSetup(1, 1), plan, 1).sample.encode()
    for _ in range(plan.rounds):
        for name, strategy in plan.strategies.items():
            stats = _send_baseline(url, strategy, sample, plan)
            speeds[name].append(_speed(stats, plan.emails, name))
            sizes[name] = stats.bytes // plan.emails
        for setup in plan.setups:
            emails = plan.emails_for(setup)
            _make_due(url, emails)
            stats = _send_mainstay(url, setup, plan, emails)
            speeds[setup.name].append(_speed(stats, emails, setup.name))
            sizes[setup.name] = stats.bytes // emails
    return _table(speeds, sizes, plan)


def _make_due(url: str, emails: int) -> None:
    """Replace all reminders by `emails` reminders that are due."""
    with psycopg.connect(url) as connection:
        connection.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
    fill(url, Dataset(emails, datetime.now(UTC), clustered=emails), (KEYS,), quiet=True)


def _settings(port: int, connections: int) -> dict[str, str]:
    return {
        "MAIL_URL": f"smtp://127.0.0.1:{port}?tls=none",
        "MAIL_FROM": SENDER,
        "MAIL_CONNECTIONS": str(connections),
        "SENDING_HOURS": "any",
        "PUBLIC_URL": "https://support.paper.example",
    }


def _send_baseline(url: str, strategy: str, sample: bytes, plan: Plan) -> SinkStats:
    with plan.open_sink() as sink:
        arguments = [strategy, str(sink.port), str(plan.emails), url]
        command = [sys.executable, "-m", "benchmarks.baselines.smtplib_sender", *arguments]
        subprocess.run(command, input=sample, cwd=ROOT, check=True)
        return sink.stats()


def _send_mainstay(url: str, setup: WorkerSetup, plan: Plan, emails: int) -> SinkStats:
    with ExitStack() as stack:
        sink = stack.enter_context(plan.open_sink())
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
    return stats.rate


def _table(speeds: dict[str, list[float]], sizes: dict[str, int], plan: Plan) -> str:
    each = " each" if plan.emails_per_connection else ""
    title = f"{plan.sink}{plan.emails:,} emails{each}, median of {plan.rounds}"
    bases = {name: label for name, label in BASES.items() if name in speeds}
    # How much more connections and workers bring.
    first = next(name for name in speeds if name not in BASES)
    bases[first] = "/ our first"
    width = max(44, len(title))
    labels = "".join(f"{label:23}" for label in bases.values())
    lines = [f"{title:{width}}{'emails/s':>9}{'bytes':>7}   {labels}".rstrip()]
    for name, own in speeds.items():
        shares = ""
        for base in bases:
            ratios = [ours / theirs for ours, theirs in zip(own, speeds[base], strict=True)]
            shares += f"{f'{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})':23}"
        lines.append(f"{name:{width}}{statistics.median(own):>9,.0f}{sizes[name]:>7,}   {shares}".rstrip())
    return "\n".join(lines)
