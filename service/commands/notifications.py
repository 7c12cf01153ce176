"""`mainstay notices`: list and retry failed receipts and other notifications."""

import click

from schemas.enums import NotificationKind
from service.commands.context import get_container, pluralise, write_audit_log
from service.domain.notifications.failures import NotificationFailureFilter, list_failures, retry_failures

KINDS = click.Choice([kind.value for kind in NotificationKind])


@click.group()
def notices() -> None:
    """See why receipts and other notices failed, and retry them after the cause is fixed."""


@notices.command("list")
@click.option("--kind", type=KINDS, help="Only notices of this kind.")
def show_failed(kind: str | None) -> None:
    """Count failed notices by kind and reason, most frequent first."""
    filters = NotificationFailureFilter(kind=NotificationKind(kind) if kind else None)
    with get_container().database.read_only() as session:
        failures = list_failures(session, filters)
    for failure in failures:
        click.echo(f"{failure.count:>8}  {failure.kind}  {failure.reason}")
    if not failures:
        click.echo("No notice has failed.", err=True)


@notices.command("retry")
@click.option("--kind", type=KINDS, help="Only notices of this kind.")
@click.option("--reason", help="Only notices whose failure reason starts with this text.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def retry(kind: str | None, reason: str | None, yes: bool) -> None:
    """Put failed notices back into the queue, due at once and with no attempts used.

    A notice whose email may already have arrived ("in doubt") is sent again with the same Message-ID. A notice
    that is no longer useful, such as an expired sign-in link, is skipped.
    """
    container = get_container()
    # A notice that a worker retries and fails meanwhile is due after this instant, so it is not retried twice.
    filters = NotificationFailureFilter(
        kind=NotificationKind(kind) if kind else None, reason=reason, due_before=container.clock()
    )
    with container.database.read_only() as session:
        total = sum(failure.count for failure in list_failures(session, filters))
    if not total:
        click.echo("No such notice has failed.", err=True)
        return
    if not yes:
        click.confirm(f"Send {pluralise(total, 'notice')} back?", abort=True, err=True)
    retried = 0
    while True:
        with container.database.transaction() as session:
            batch = retry_failures(session, filters, now=container.clock())
            retried += batch
            if not batch:
                write_audit_log(session, container, "retry_notices", {"returned": retried})
                break
        click.echo(f"{retried} of {total} sent back", err=True)
    click.echo(f"Sent {pluralise(retried, 'notice')} back into the queue.")
