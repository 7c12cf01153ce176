"""`mainstay notices`: receipts and other notices that failed, and sending them back."""

import click

from schemas.enums import NotificationKind
from service.commands.context import get_container, write_audit_log
from service.domain.notifications.failures import NotificationFailureFilter, list_failures, retry_failures

KINDS = click.Choice([kind.value for kind in NotificationKind])


@click.group()
def notices() -> None:
    """See why receipts and other notices failed, and send them back once the cause is mended."""


@notices.command("list")
@click.option("--kind", type=KINDS, help="Only those of this kind.")
def show_failed(kind: str | None) -> None:
    """Say how many notices failed for which reason, the most first."""
    wanted = NotificationFailureFilter(kind=NotificationKind(kind) if kind else None)
    with get_container().database.read_only() as session:
        failures = list_failures(session, wanted)
    for failure in failures:
        click.echo(f"{failure.count:>8}  {failure.kind}  {failure.reason}")
    if not failures:
        click.echo("No notice has failed.", err=True)


@notices.command("retry")
@click.option("--kind", type=KINDS, help="Only those of this kind.")
@click.option("--reason", help="Only those that failed for a reason that begins so.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
def retry(kind: str | None, reason: str | None, yes: bool) -> None:
    """Send failed notices back, due at once, with all their attempts before them.

    One whose mail may have arrived already ("in doubt") is sent again, under the same Message-ID. One that is of
    no use any more, such as a link to sign in that nobody waits for, is skipped.
    """
    container = get_container()
    # Those that a worker tries and fails again meanwhile are due from now on, and are not sent back once more.
    wanted = NotificationFailureFilter(
        kind=NotificationKind(kind) if kind else None, reason=reason, due_before=container.clock()
    )
    with container.database.read_only() as session:
        number = sum(failure.count for failure in list_failures(session, wanted))
    if not number:
        click.echo("No such notice has failed.", err=True)
        return
    if not yes:
        click.confirm(f"Send {_pluralise(number)} back?", abort=True, err=True)
    returned = 0
    while True:
        with container.database.transaction() as session:
            some = retry_failures(session, wanted, now=container.clock())
            returned += some
            if not some:
                write_audit_log(session, container, "retry_notices", {"returned": returned})
                break
        click.echo(f"{returned} of {number} sent back", err=True)
    click.echo(f"Sent {_pluralise(returned)} back into the queue.")


def _pluralise(number: int) -> str:
    return f"{number} notice{'' if number == 1 else 's'}"
