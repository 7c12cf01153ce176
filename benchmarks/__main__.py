"""`make bench`: start everything, measure, print the figures. They are reported and never asserted."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Collection
from dataclasses import dataclass, replace

import psycopg
from sqlalchemy import text

from benchmarks import claims, dispatch, events, export, sign_ups
from benchmarks.compare import Comparison, LoadPlan, Measurement, compare, table
from benchmarks.database import BenchmarkDatabase, benchmark_database
from benchmarks.dispatch import WorkerSetup
from benchmarks.servers import Servers, start_servers

# What the web process serves, and what is about reminders in great number.
HTTP_CASES = {"reminders", "campaign", "export"}
SECTIONS = ("reminders", "campaign", "export", "dispatch", "claims", "sign-ups", "events")


@dataclass(frozen=True)
class Size:
    """How much is measured, and how often."""

    http_load: LoadPlan
    exported: int
    export_rounds: int
    mails: int
    worker_counts: tuple[WorkerSetup, ...]
    dispatch_rounds: int
    sign_ups: LoadPlan
    claims: claims.Sizes
    events: int


FULL = Size(
    http_load=LoadPlan(rounds=9, seconds=4, warm_up=1),
    exported=200_000,
    export_rounds=3,
    mails=5_000,
    worker_counts=dispatch.WORKER_SETUPS,
    dispatch_rounds=3,
    sign_ups=LoadPlan(rounds=10, seconds=4, warm_up=1),
    claims=claims.Sizes(
        rows=1_000_000, small_batch=100_000, procrastinate=1_000_000, batch=500, rounds=20, slow_rounds=2
    ),
    events=10_000,
)
QUICK = Size(
    http_load=LoadPlan(rounds=2, seconds=1, warm_up=0.5),
    exported=20_000,
    export_rounds=1,
    mails=20,
    worker_counts=(WorkerSetup(2, 2),),
    dispatch_rounds=1,
    sign_ups=LoadPlan(rounds=1, seconds=0.3, warm_up=0.1),
    claims=claims.Sizes(rows=2_000, small_batch=300, procrastinate=300, batch=5, rounds=2, slow_rounds=1),
    events=200,
)

# What the widget sends from a newsroom's article.
PLEDGE_BODY = {
    "campaign": "default",
    "email": "reader-{round}-000000000000@paper.example",
    "months": 1,
    "timezone": "Europe/Amsterdam",
    "frequency": "monthly",
    "amount": 500,
    "page_url": "https://paper.example/2026/11/the-harbour",
    "lang": "en",
    "consent_version": "5d41402a",
}


def _request(method: str, path: str, body: str = "") -> bytes:
    # The round's mark is as long as its number, so that the length is right before either is known.
    length = len(body) - body.count("{round}") * (len("{round}") - 4)
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Origin: https://paper.example",
        "Referer: https://paper.example/",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        "Accept: */*",
    ]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*head, "", body]).encode()


REMINDER = Comparison(
    "POST /v1/reminders",
    _request("POST", "/v1/reminders", json.dumps(PLEDGE_BODY)),
    _request("POST", "/reminders", json.dumps(PLEDGE_BODY)),
    201,
)
CAMPAIGN = Comparison(
    "GET /v1/campaigns/default", _request("GET", "/v1/campaigns/default"), _request("GET", "/campaign"), 200
)


def main() -> int:
    """Run what the command line asks for; the exit status is 1 if any answer was wrong or any row is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less than a minute, to see that it runs")
    parser.add_argument("--only", choices=SECTIONS, nargs="+", default=SECTIONS, help="some of these")
    parser.add_argument("--rows", type=int, help="scheduled reminders in the full tables (default a million)")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    size = replace(size, claims=replace(size.claims, rows=options.rows or size.claims.rows))
    faults: list[str] = []
    if HTTP_CASES & set(options.only):
        with start_servers() as stage:
            print(_machine(stage.url))
            faults += _measure_served(stage, size, options.only)
    if set(options.only) - HTTP_CASES:
        # Figures that nobody reads need not wait for a disk.
        with benchmark_database(durable=not options.quick) as databases:
            print(_machine(databases.url))
            faults += _measure_reminders(databases, size, options.only)
    print(*[f"\nWRONG: {fault}" for fault in faults], sep="", file=sys.stderr)
    return 1 if faults else 0


def _measure_served(stage: Servers, size: Size, only: Collection[str]) -> list[str]:
    """Measure what readers and staff ask the web process for; return what is wrong."""
    faults = []
    contests = {"reminders": REMINDER, "campaign": CAMPAIGN}
    figures = [
        compare(contest, size.http_load, ours=stage.mainstay, baseline=stage.baseline)
        for name, contest in contests.items()
        if name in only
    ]
    if figures:
        print(table(figures), flush=True)
    for each in figures:
        faults += each.errors
        if each.name == REMINDER.name:
            faults += _missing_requirement(stage, each)
    if faults:
        # The log goes with the stage, and it says why.
        faults += [line for line in stage.log.read_text().splitlines() if '"level": "error"' in line][:5]
    if "export" in only:
        speeds = export.run(stage, rows=size.exported, rounds=size.export_rounds)
        print(f"\n{export.table(speeds, size.exported)}", flush=True)
    return faults


def _measure_reminders(benchmark_database: BenchmarkDatabase, size: Size, only: Collection[str]) -> list[str]:
    """Measure how reminders are kept and sent; return what is wrong."""
    faults = []
    if "dispatch" in only:
        sent = dispatch.run(
            benchmark_database, mails=size.mails, crews=size.worker_counts, rounds=size.dispatch_rounds
        )
        print(f"\n{sent}", flush=True)
    if "claims" in only:
        print(f"\n{claims.run(benchmark_database, size.claims)}", flush=True)
    if "sign-ups" in only:
        figures, faults = sign_ups.run(benchmark_database, REMINDER, size.sign_ups, rows=size.claims.rows)
        print(f"\n{table([figures])}", flush=True)
    if "events" in only:
        replayed, wrong = events.run(benchmark_database, events=size.events)
        print(f"\n{replayed}", flush=True)
        faults += wrong
    return faults


def _machine(url: str) -> str:
    """Say what this is measured on: the processor, and PostgreSQL's settings that bear on it."""
    names = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
    with psycopg.connect(url) as connection:
        said = {name: (connection.execute(f"SHOW {name}").fetchone() or ["?"])[0] for name in names}
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, PostgreSQL {said.pop('server_version')} "
        f"({', '.join(f'{name} {value}' for name, value in said.items())}), gunicorn gthread\n"
    )


def _missing_requirement(stage: Servers, figures: Measurement) -> list[str]:
    """Say where the database holds anything but one row for each good answer."""
    ours, baseline = (sum(tally.stored for tally in tallies) for tallies in (figures.ours, figures.bare))
    faults = []
    with stage.engine.connect() as connection:
        for name, expected in (
            ("supporters", ours),
            ("reminders", ours),
            ("reminder_status_changes", ours),
            ("bare_reminders", baseline),
        ):
            found = connection.scalar(text(f"SELECT count(*) FROM {name}"))
            if found != expected:
                faults.append(f"{name} holds {found} rows after {expected} good answers")
    return faults


if __name__ == "__main__":
    sys.exit(main())
