"""Runs the benchmarks and prints their figures, which are reported and never asserted."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Collection
from dataclasses import dataclass, replace

import psycopg
from sqlalchemy import text

from benchmarks import balance, box, claims, dispatch, events, export, shop, sign_ups, slow_clients
from benchmarks.baselines.table import minimal_reminders
from benchmarks.compare import Comparison, LoadPlan, Measurement, compare, table
from benchmarks.database import BenchmarkDatabase, benchmark_database
from benchmarks.dispatch import WorkerSetup
from benchmarks.servers import Servers, start_servers
from service.db.models.reminder import ReminderStatusChange

# The sections that need the web servers; the others need only databases.
HTTP_SECTIONS = {"reminders", "campaign", "export", "slow-clients"}
SECTIONS = (
    "reminders",
    "campaign",
    "export",
    "slow-clients",
    "dispatch",
    "claims",
    "sign-ups",
    "events",
    "balance",
    "shop",
    "box",
)


@dataclass(frozen=True)
class Size:
    """How many rows, emails, events, rounds and loads each section uses."""

    http_load: LoadPlan
    exported_pledges: int
    export_rounds: int
    slow_clients: LoadPlan
    dispatch: tuple[dispatch.Plan, ...]
    sign_ups: LoadPlan
    claims: claims.Sizes
    events: int
    balance_transactions: int
    shop_events: int
    box_loads: int


FULL = Size(
    http_load=LoadPlan(rounds=9, seconds=4, warm_up=1),
    exported_pledges=200_000,
    export_rounds=3,
    slow_clients=LoadPlan(rounds=3, seconds=4, warm_up=1),
    dispatch=dispatch.plans(emails=5_000, relay_emails=200, rounds=3),
    sign_ups=LoadPlan(rounds=10, seconds=4, warm_up=1),
    claims=claims.Sizes(
        rows=1_000_000, small_table=100_000, procrastinate=1_000_000, batch=500, rounds=20, slow_rounds=2
    ),
    events=10_000,
    balance_transactions=10_000,
    shop_events=300,
    box_loads=15,
)
QUICK = Size(
    http_load=LoadPlan(rounds=2, seconds=1, warm_up=0.5),
    exported_pledges=20_000,
    export_rounds=1,
    slow_clients=LoadPlan(rounds=1, seconds=2, warm_up=0.5),
    dispatch=dispatch.plans(emails=20, relay_emails=5, rounds=1, setups=(WorkerSetup(2, 2),)),
    sign_ups=LoadPlan(rounds=1, seconds=0.3, warm_up=0.1),
    claims=claims.Sizes(rows=2_000, small_table=300, procrastinate=300, batch=5, rounds=2, slow_rounds=1),
    events=200,
    balance_transactions=240,
    shop_events=20,
    box_loads=1,
)

# A sign-up as the widget sends it from an article.
REMINDER_BODY = {
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
    # `compare` replaces {round} with four digits, so the length is known before the round is.
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
    _request("POST", "/v1/reminders", json.dumps(REMINDER_BODY)),
    _request("POST", "/reminders", json.dumps(REMINDER_BODY)),
    201,
)
CAMPAIGN = Comparison(
    "GET /v1/campaigns/default", _request("GET", "/v1/campaigns/default"), _request("GET", "/campaign"), 200
)


def main() -> int:
    """Run the sections that the command line selects; return 1 if a response was wrong or a row is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="run for less than a minute, as a smoke test")
    parser.add_argument("--only", choices=SECTIONS, nargs="+", default=SECTIONS, help="run only these sections")
    parser.add_argument("--emails", type=int, help="emails of a round of dispatch if the server answers at once")
    parser.add_argument("--rounds", type=int, help="rounds of the dispatch section (default: 3)")
    parser.add_argument("--rows", type=int, help="scheduled reminders in the large tables (default: a million)")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    size = replace(size, claims=replace(size.claims, rows=options.rows or size.claims.rows))
    if size.claims.rows <= size.claims.small_table:
        parser.error(f"--rows must be more than {size.claims.small_table}, the size of the small tables.")
    size = replace(size, dispatch=tuple(_resized(plan, options.emails, options.rounds) for plan in size.dispatch))
    errors: list[str] = []
    if HTTP_SECTIONS & set(options.only):
        with start_servers() as servers:
            print(_describe_machine(servers.url))
            errors += _measure_http(servers, size, options.only)
    if set(options.only) - HTTP_SECTIONS:
        # A smoke test does not need durable commits.
        with benchmark_database(durable=not options.quick) as databases:
            print(_describe_machine(databases.url))
            errors += _measure_databases(databases, size, options.only)
    print(*[f"\nERROR: {error}" for error in errors], sep="", file=sys.stderr)
    return 1 if errors else 0


def _resized(plan: dispatch.Plan, emails: int | None, rounds: int | None) -> dispatch.Plan:
    if emails and not plan.delay:
        plan = replace(plan, emails=emails)
    return replace(plan, rounds=rounds or plan.rounds)


def _measure_http(servers: Servers, size: Size, only: Collection[str]) -> list[str]:
    """Measure the sections that go through the web servers; return the errors."""
    errors = []
    comparisons = {"reminders": REMINDER, "campaign": CAMPAIGN}
    measurements = [
        compare(comparison, size.http_load, mainstay=servers.mainstay, baseline=servers.baseline)
        for name, comparison in comparisons.items()
        if name in only
    ]
    if measurements:
        print(table(measurements), flush=True)
    for measurement in measurements:
        errors += measurement.errors
        if measurement.name == REMINDER.name:
            errors += _check_row_counts(servers, measurement)
    if errors:
        # The log is deleted with the servers, and it holds the cause.
        errors += [line for line in servers.log.read_text().splitlines() if '"level": "error"' in line][:5]
    if "export" in only:
        downloads = export.run(servers, rows=size.exported_pledges, rounds=size.export_rounds)
        print(f"\n{export.table(downloads, size.exported_pledges)}", flush=True)
    if "slow-clients" in only:
        if "export" not in only:
            export.store_pledges(servers.engine, size.exported_pledges)
        print(f"\n{slow_clients.run(servers, CAMPAIGN, size.slow_clients)}", flush=True)
    return errors


def _measure_databases(databases: BenchmarkDatabase, size: Size, only: Collection[str]) -> list[str]:
    """Measure the sections that need only databases and workers; return the errors."""
    errors: list[str] = []
    if "dispatch" in only:
        for plan in size.dispatch:
            print(f"\n{dispatch.run(databases, plan)}", flush=True)
    if "claims" in only:
        print(f"\n{claims.run(databases, size.claims)}", flush=True)
    if "sign-ups" in only:
        measurement, wrong = sign_ups.run(databases, REMINDER, size.sign_ups, rows=size.claims.rows)
        print(f"\n{table([measurement])}", flush=True)
        errors += wrong
    if "events" in only:
        replayed, wrong = events.run(databases, events=size.events)
        print(f"\n{replayed}", flush=True)
        errors += wrong
    if "balance" in only:
        booked, wrong = balance.run(databases, transactions=size.balance_transactions)
        print(f"\n{booked}", flush=True)
        errors += wrong
    if "shop" in only:
        replayed, wrong = shop.run(databases, events=size.shop_events)
        print(f"\n{replayed}", flush=True)
        errors += wrong
    if "box" in only:
        print(f"\n{box.run(databases, loads=size.box_loads)}", flush=True)
    return errors


def _describe_machine(url: str) -> str:
    """Name the cores, the versions and the PostgreSQL settings that affect the figures."""
    names = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
    with psycopg.connect(url) as connection:
        values = {name: (connection.execute(f"SHOW {name}").fetchone() or ["?"])[0] for name in names}
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, PostgreSQL {values.pop('server_version')} "
        f"({', '.join(f'{name} {value}' for name, value in values.items())}), gunicorn gthread\n"
    )


def _check_row_counts(servers: Servers, measurement: Measurement) -> list[str]:
    """Return an error for each table that does not hold one row for each successful response."""
    mainstay, baseline = (
        sum(result.stored for result in results) for results in (measurement.mainstay, measurement.baseline)
    )
    errors = []
    with servers.engine.connect() as connection:
        for name, expected in (
            ("supporters", mainstay),
            ("reminders", mainstay),
            (ReminderStatusChange.__tablename__, mainstay),
            (minimal_reminders.name, baseline),
        ):
            found = connection.scalar(text(f"SELECT count(*) FROM {name}"))
            if found != expected:
                errors.append(f"{name} holds {found} rows after {expected} successful responses")
    return errors


if __name__ == "__main__":
    sys.exit(main())
