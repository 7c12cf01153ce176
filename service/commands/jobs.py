"""`mainstay jobs`: what the workers did."""

import datetime
from collections.abc import Sequence

import click

from schemas.enums import JobOutcome
from service.commands.context import get_container
from service.db.models.jobs import JobRun
from service.domain.monitoring.job_runs import latest_runs

HEADINGS = ("when (UTC)", "job", "how long", "outcome", "what came of it")


@click.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many runs.")
@click.option("--job", help="Only the runs of this job, such as send_reminders.")
def jobs(limit: int, job: str | None) -> None:
    """Show the latest runs of the workers' jobs, the newest first.

    Of the runs that found nothing to do, only the latest of each job is kept.
    """
    container = get_container()
    with container.database.read_only() as session:
        runs = latest_runs(session, job=job, limit=limit)
        any_run = runs or latest_runs(session, limit=1)
    if runs:
        click.echo(_table([HEADINGS, *(_row(run, now=container.clock()) for run in runs)]))
    elif any_run:
        click.echo(f"No run of {job} is on record; mainstay jobs shows those of every job.")
    else:
        click.echo("No worker has run yet; start one with mainstay worker.")


def _row(run: JobRun, *, now: datetime.datetime) -> tuple[str, ...]:
    did = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(run.counts.items()))
    if run.outcome == JobOutcome.SUCCEEDED:
        did = did or "nothing to do"
    lasted = (run.ended_at or now) - run.started_at
    return (
        f"{run.started_at:%Y-%m-%d %H:%M:%S}",
        run.job,
        # How long a run went on that its worker did not end, nobody knows.
        "" if run.outcome == JobOutcome.CRASHED else _duration(lasted),
        run.outcome.value,
        did or run.error or "",
    )


def _duration(lasted: datetime.timedelta) -> str:
    seconds = max(lasted.total_seconds(), 0)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
