"""`mainstay jobs`: the recent runs of the workers' jobs."""

import datetime

import click

from schemas.enums import JobOutcome
from service.commands.context import get_container
from service.commands.tables import format_table
from service.db.models.jobs import JobRun
from service.domain.monitoring.job_runs import latest_runs

HEADINGS = ("when (UTC)", "job", "how long", "outcome", "what came of it")


@click.command()
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many runs to show."
)
@click.option("--job", help="Only the runs of this job, such as send_emails.")
def jobs(limit: int, job: str | None) -> None:
    """Show the latest runs of the workers' jobs, newest first.

    Of the runs that found nothing to do, only the latest of each job is stored.
    """
    container = get_container()
    with container.database.read_only() as session:
        runs = latest_runs(session, job=job, limit=limit)
        any_run = runs or latest_runs(session, limit=1)
    if runs:
        click.echo(format_table([HEADINGS, *(_row(run, now=container.clock()) for run in runs)]))
    elif any_run:
        click.echo(f"No run of {job} is on record; mainstay jobs shows those of every job.")
    else:
        click.echo("No worker has run yet; start one with mainstay worker.")


def _row(run: JobRun, *, now: datetime.datetime) -> tuple[str, ...]:
    counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(run.counts.items()))
    if run.outcome == JobOutcome.SUCCEEDED:
        counts = counts or "nothing to do"
    elapsed = (run.ended_at or now) - run.started_at
    return (
        f"{run.started_at:%Y-%m-%d %H:%M:%S}",
        run.job,
        # The time at which a crashed run stopped is unknown.
        "" if run.outcome == JobOutcome.CRASHED else _format_duration(elapsed),
        run.outcome.value,
        counts or run.error or "",
    )


def _format_duration(elapsed: datetime.timedelta) -> str:
    seconds = max(elapsed.total_seconds(), 0)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
