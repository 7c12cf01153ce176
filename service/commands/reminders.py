"""`mainstay reminders`: list and retry failed reminders."""

import click

from service.commands.context import get_container, pluralise, write_audit_log
from service.domain.reminders.failures import ReminderFailureFilter, list_failures, retry_failures


@click.group()
def reminders() -> None:
    """See why reminders failed, and retry them after the cause is fixed."""


@reminders.command("failed")
@click.option("--campaign", help="Only reminders of this campaign (its slug).")
def show_failed(campaign: str | None) -> None:
    """Count failed reminders by campaign and reason, most frequent first.

    docs/reminders.md explains each reason and what to do about it.
    """
    with get_container().database.read_only() as session:
        failures = list_failures(session, ReminderFailureFilter(campaign=campaign))
    for failure in failures:
        click.echo(f"{failure.count:>8}  {failure.campaign or '(deleted)'}  {failure.reason}")
    if not failures:
        click.echo("No reminder has failed.", err=True)


@reminders.command("retry")
@click.option("--campaign", help="Only reminders of this campaign (its slug).")
@click.option("--reason", help="Only reminders whose failure reason starts with this text.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def retry(campaign: str | None, reason: str | None, yes: bool) -> None:
    """Put failed reminders back into the queue, due at once and with no attempts used.

    A reminder whose email may already have arrived ("in doubt") is sent again with the same Message-ID. A reminder
    to a suppressed address is skipped, unless you lift the suppression first (mainstay suppressions lift).
    """
    container = get_container()
    # A reminder that a worker retries and fails meanwhile is due after this instant, so it is not retried twice.
    filters = ReminderFailureFilter(campaign=campaign, reason=reason, due_before=container.clock())
    with container.database.read_only() as session:
        total = sum(failure.count for failure in list_failures(session, filters))
    if not total:
        click.echo("No such reminder has failed.", err=True)
        return
    if not yes:
        click.confirm(f"Send {pluralise(total, 'reminder')} back?", abort=True, err=True)
    retried = 0
    while True:
        with container.database.transaction() as session:
            batch = retry_failures(session, filters, now=container.clock())
            retried += batch
            if not batch:
                write_audit_log(session, container, "retry_reminders", {"returned": retried})
                break
        click.echo(f"{retried} of {total} sent back", err=True)
    click.echo(f"Sent {pluralise(retried, 'reminder')} back into the queue.")
