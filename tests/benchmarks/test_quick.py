"""The benchmarks run, at sizes that show nothing: no figure is asserted, only that there is one."""

import re
import subprocess
import sys

import psycopg

from service.container import utc_now
from service.domain.reminders.emails import build_reminder_emails
from service.domain.reminders.queue import claim_due_reminders
from tests.processes import ROOT

FIGURE = r" +[\d,.]+"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_quick_benchmarks_print_a_figure_for_each_way_and_the_ledger_is_the_sum() -> None:
    done = run("benchmarks", "--quick", "--only", "claims", "dispatch", "sign-ups", "events")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in (
        r"ours, 300 scheduled",
        r"ours, 2,000 scheduled",
        r"APScheduler's SQLAlchemyJobStore, 300 jobs",
        r"procrastinate, 300 jobs, side by side",
        r"procrastinate, 300 jobs, scattered",
        r"smtplib loop, mails ready-made",
        r"smtplib loop, mails built in turn",
        r"smtplib loop, ready-made, a row before each",
        r"ours, 2 workers, 2 connections each",
        r"POST /v1/reminders, 2,000 rows",
        r"POST /v1/reminders, none",
        r"ours, kept as webhooks are.*",
        r"ours, read and applied by one worker.*",
        r"bare, an INSERT and.*",
    ):
        assert re.search(f"^{name}{FIGURE}", done.stdout, re.MULTILINE), done.stdout
    assert "Index Scan using ix_reminders_due" in done.stdout
    assert "the ledger holds 100 payments, 50,000 minor units" in done.stdout


def fill(container, *options: str) -> subprocess.CompletedProcess[str]:
    return run("benchmarks.fill", "--database-url", container.settings.database_url, *options)


def test_what_the_loader_makes_can_be_claimed_and_written_to_and_is_left_alone(container) -> None:
    done = fill(container, "--rows", "300", "--due", "20")
    assert done.returncode == 0, done.stderr
    again = fill(container, "--rows", "10", "--due", "1")
    assert again.returncode == 1
    assert "holds reminders already" in again.stderr
    payload = {
        "worker": container.worker_id,
        "now": utc_now(),
        "limit": 50,
        "lease": container.lease_duration,
        "respect_sending_hours": False,
    }
    with container.database.transaction() as session:
        claimed = claim_due_reminders(session, **payload)
        prepared = build_reminder_emails(
            session, claimed.claims, links=container.links, now=utc_now(), month_seconds=None
        )
    assert len({email.to for _, email in prepared.emails}) == 20


def without_casts(part: object) -> object:
    """Return a definition without what PostgreSQL adds once it has read a list of words in its own writing."""
    return re.sub(r"::(text|character varying)(\[\])?|[()]", "", part) if isinstance(part, str) else part


def test_the_loader_builds_every_index_and_constraint_again(container) -> None:
    def described() -> list[tuple]:
        with psycopg.connect(container.settings.database_url.replace("+psycopg", "")) as connection:
            indexes = connection.execute("SELECT indexname, indexdef FROM pg_indexes ORDER BY 1").fetchall()
            found = connection.execute(
                "SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint ORDER BY 1, 2"
            )
            return [tuple(map(without_casts, row)) for row in [*indexes, *found.fetchall()]]

    before = described()
    assert fill(container, "--rows", "10").returncode == 0
    assert described() == before
