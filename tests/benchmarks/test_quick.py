"""Smoke tests of the benchmarks at minimal sizes: they assert that a figure is printed, never its value."""

import re
import subprocess
import sys
from dataclasses import fields

import psycopg

from benchmarks.postfix_sink import find_smtp_sink
from benchmarks.servers import SETTINGS, UNREACHED_LIMIT
from service.db.clock import utc_now
from service.domain.email.queue import claim_due_emails
from service.domain.email.rendering import PreparedEmails
from service.domain.reminders.emails import build_reminder_emails
from service.domain.reminders.queue import enqueue_due_reminders
from service.settings import read_settings
from tests.processes import ROOT, environment

FIGURE = r" +[\d,.]+"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800
    )


def test_quick_benchmarks_print_every_figure_and_ledger_totals_match_events() -> None:
    completed = run(
        "benchmarks", "--quick", "--only", "claims", "dispatch", "sign-ups", "events", "balance", "shop", "box"
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    for name in (
        r"ours, 300 scheduled",
        r"ours, 2,000 scheduled",
        r"APScheduler's SQLAlchemyJobStore, 300 jobs",
        r"procrastinate, 300 jobs, clustered",
        r"procrastinate, 300 jobs, scattered",
        r"smtplib loop, emails prebuilt",
        r"smtplib loop, emails built one by one",
        r"smtplib loop, prebuilt, one row before each",
        r"ours, 2 workers, 2 connections each",
        r"relay with 20 ms, 5 emails each, median of 1.*\nsmtplib loop, emails prebuilt",
        r"POST /v1/reminders, 2,000 rows",
        r"POST /v1/reminders, none",
        r"ours, stored as a webhook stores them.*",
        r"ours, parsed and applied by one worker.*",
        r"baseline, an INSERT and.*",
        r"ours, first run",
        r"baseline, each page listed and inserted",
        r"ours, ignored after all their waits.*",
        r"baseline, one look-up for each.*",
        r"baseline, an empty element",
        r"ours, in the page",
        r"ours, a banner",
        r"ours, a dialog that is not due",
    ):
        assert re.search(f"^{name}{FIGURE}", completed.stdout, re.MULTILINE), completed.stdout
    if find_smtp_sink() is None:
        assert "smtp-sink, left out: smtp-sink is not installed" in completed.stdout
    else:
        assert re.search(
            rf"smtp-sink, 20 emails each.*\n(.*\n)+?ours, 2 workers, 2 connections each{FIGURE}", completed.stdout
        )
    assert "Index Scan using ix_reminders_due" in completed.stdout
    assert "the ledger holds 100 payments, 50,000 minor units" in completed.stdout


def fill(container, *options: str) -> subprocess.CompletedProcess[str]:
    return run("benchmarks.fill", "--database-url", container.settings.database_url, *options)


def test_filled_reminders_can_be_claimed_and_rendered_and_second_fill_is_refused(container) -> None:
    completed = fill(container, "--rows", "300", "--due", "20")
    assert completed.returncode == 0, completed.stderr
    again = fill(container, "--rows", "10", "--due", "1")
    assert again.returncode == 1
    assert "holds reminders already" in again.stderr
    claim_options = {
        "worker": container.worker_id,
        "now": utc_now(),
        "limit": 50,
        "lease": container.lease_duration,
        "respect_sending_hours": False,
    }
    with container.database.transaction() as session:
        enqueue_due_reminders(session, now=utc_now(), respect_sending_hours=False)
        claimed = claim_due_emails(session, **claim_options)
        prepared = PreparedEmails()
        build_reminder_emails(
            session, claimed.claims, prepared, urls=container.urls, now=utc_now(), month_seconds=None
        )
    assert len({email.to for _, email in prepared.emails}) == 20


def without_casts(part: object) -> object:
    """Return a definition without the casts and parentheses that PostgreSQL adds when it parses its own output."""
    return re.sub(r"::(text|character varying)(\[\])?|[()]", "", part) if isinstance(part, str) else part


def test_fill_recreates_every_index_and_constraint(container) -> None:
    def describe_schema() -> list[tuple]:
        with psycopg.connect(container.settings.database_url.replace("+psycopg", "")) as connection:
            indexes = connection.execute("SELECT indexname, indexdef FROM pg_indexes ORDER BY 1").fetchall()
            found = connection.execute(
                "SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint ORDER BY 1, 2"
            )
            return [tuple(map(without_casts, row)) for row in [*indexes, *found.fetchall()]]

    before = describe_schema()
    assert fill(container, "--rows", "10").returncode == 0
    assert describe_schema() == before


def test_benchmarks_of_requests_reach_no_rate_limit() -> None:
    settings = read_settings(environment("postgresql:///unused", **SETTINGS))
    limits = [field.name for field in fields(settings) if field.name.endswith("rate_limit")]
    assert {getattr(settings, name) for name in limits} == {UNREACHED_LIMIT}
