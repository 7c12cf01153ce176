"""`mainstay reminders`: those that failed, and sending them back."""

import click

from service.commands.context import get_container, write_audit_log
from service.domain.reminders.failures import ReminderFailureFilter, list_failures, retry_failures


@click.group()
def reminders() -> None:
    """See why reminders failed, and send them back once the cause is mended."""


@reminders.command("failed")
@click.option("--campaign", help="Only those of this campaign, by its slug.")
def show_failed(campaign: str | None) -> None:
    """Say how many reminders failed for which reason, the most first.

    What each reason means, and what to do about it, is in docs/reminders.md.
    """
    with get_container().database.read_only() as session:
        failures = list_failures(session, ReminderFailureFilter(campaign=campaign))
    for failure in failures:
        click.echo(f"{failure.count:>8}  {failure.campaign or '(deleted)'}  {failure.reason}")
    if not failures:
        click.echo("No reminder has failed.", err=True)


@reminders.command("retry")
@click.option("--campaign", help="Only those of this campaign, by its slug.")
@click.option("--reason", help="Only those that failed for a reason that begins so.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
def retry(campaign: str | None, reason: str | None, yes: bool) -> None:
    """Send failed reminders back, due at once, with all their attempts before them.

    One whose mail may have arrived already ("in doubt") is sent again, under the same Message-ID. One whose
    address is suppressed is skipped, unless that is lifted first (mainstay suppressions lift).
    """
    container = get_container()
    # Those that a worker tries and fails again meanwhile are due from now on, and are not sent back once more.
    wanted = ReminderFailureFilter(campaign=campaign, reason=reason, due_before=container.clock())
    with container.database.read_only() as session:
        number = sum(failure.count for failure in list_failures(session, wanted))
    if not number:
        click.echo("No such reminder has failed.", err=True)
        return
    if not yes:
        click.confirm(f"Send {_pluralise(number)} back?", abort=True, err=True)
    returned = 0
    while True:
        with container.database.transaction() as session:
            some = retry_failures(session, wanted, now=container.clock())
            returned += some
            if not some:
                write_audit_log(session, container, "retry_reminders", {"returned": returned})
                break
        click.echo(f"{returned} of {number} sent back", err=True)
    click.echo(f"Sent {_pluralise(returned)} back into the queue.")


def _pluralise(number: int) -> str:
    return f"{number} reminder{'' if number == 1 else 's'}"
