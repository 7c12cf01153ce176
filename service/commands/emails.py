"""`mainstay emails`: see what was sent and what was not, and why, and retry what failed."""

import datetime
import uuid
from collections.abc import Sequence

import click
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, EmailStatus
from service.commands.context import get_container, pluralise, write_audit_log
from service.commands.emails_check import check
from service.commands.tables import format_table
from service.db.models.email import OutgoingEmail
from service.domain.email.delivery import lock_reminders
from service.domain.email.failures import (
    EmailFilter,
    OnRetried,
    get_email,
    list_emails,
    list_failures,
    retry_email,
    retry_failures,
)
from service.domain.errors import DomainError
from service.domain.reminders.queue import mark_retried

KIND = click.Choice([kind.value for kind in EmailKind])
STATUS = click.Choice([status.value for status in EmailStatus])
HEADINGS = ("id", "kind", "campaign", "status", "due", "attempts", "reason")


@click.group()
def emails() -> None:
    """See which emails were sent, and retry those that failed.

    No command shows an address. docs/reminders.md explains each status and reason.
    """


emails.add_command(check)


@emails.command("list")
@click.option("--status", type=STATUS, help="Only emails with this status.")
@click.option("--kind", type=KIND, help="Only emails of this kind.")
@click.option("--campaign", help="Only emails about this campaign (its slug).")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most this many.")
def list_latest(status: str | None, kind: str | None, campaign: str | None, limit: int) -> None:
    """List emails, newest first."""
    filters = _filter(status=status, kind=kind, campaign=campaign)
    with get_container().database.read_only() as session:
        rows = [_cells(email, slug) for email, slug in list_emails(session, filters, limit=limit)]
    if not rows:
        click.echo("There is no such email.", err=True)
        return
    click.echo(format_table([HEADINGS, *rows]))


@emails.command()
@click.argument("email_id", metavar="ID", type=click.UUID)
def show(email_id: uuid.UUID) -> None:
    """Show everything that is known about one email, except its address."""
    with get_container().database.read_only() as session:
        try:
            email, campaign = get_email(session, email_id)
        except DomainError as error:
            raise click.ClickException(error.detail) from error
        fields = {
            "id": email.id,
            "kind": email.kind,
            "occasion": email.dedup_key,
            "campaign": campaign,
            "language": email.lang,
            "status": email.status,
            "reason": email.reason,
            "created": _instant(email.created_at),
            "due": _instant(email.due_at),
            "attempts": email.attempts,
            "last outcome": email.outcome,
            "last reply": email.smtp_reply,
            "last begun": _instant(email.started_at),
            "last ended": _instant(email.finished_at),
            "leased until": _instant(email.leased_until),
        }
    for name, value in fields.items():
        if value is not None:
            click.echo(f"{name + ':':<14}{value}")


@emails.command("failed")
@click.option("--kind", type=KIND, help="Only emails of this kind.")
@click.option("--campaign", help="Only emails about this campaign (its slug).")
def show_failed(kind: str | None, campaign: str | None) -> None:
    """Count failed emails by kind, campaign and reason, most frequent first."""
    with get_container().database.read_only() as session:
        failures = list_failures(session, _filter(kind=kind, campaign=campaign))
    for failure in failures:
        click.echo(f"{failure.count:>8}  {failure.kind}  {failure.campaign or '-'}  {failure.reason}")
    if not failures:
        click.echo("No email has failed.", err=True)


@emails.command("retry")
@click.argument("email_ids", metavar="[ID]...", type=click.UUID, nargs=-1)
@click.option("--kind", type=KIND, help="Only emails of this kind.")
@click.option("--campaign", help="Only emails about this campaign (its slug).")
@click.option("--reason", help="Only emails whose failure reason starts with this text.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def retry(
    email_ids: Sequence[uuid.UUID], kind: str | None, campaign: str | None, reason: str | None, yes: bool
) -> None:
    """Put failed emails back into the queue, due at once and with no attempts used.

    An email that may already have arrived ("in doubt") is sent again with the same Message-ID. One that is no
    longer useful, such as an expired sign-in link, is skipped, and so is one to a suppressed address unless you
    lift the suppression first (mainstay suppressions lift).
    """
    if email_ids:
        if kind or campaign or reason:
            raise click.UsageError("Give either ids or --kind, --campaign and --reason.")
        _retry_by_id(email_ids)
        return
    container = get_container()
    # An email that a worker retries and fails meanwhile is due after this instant, so it is not retried twice.
    filters = _filter(kind=kind, campaign=campaign, reason=reason, due_before=container.clock())
    with container.database.read_only() as session:
        total = sum(failure.count for failure in list_failures(session, filters))
    if not total:
        click.echo("No such email has failed.", err=True)
        return
    if not yes:
        click.confirm(f"Retry {pluralise(total, 'email')}?", abort=True, err=True)
    retried = 0
    while True:
        with container.database.transaction() as session:
            now = container.clock()
            batch = retry_failures(session, filters, now=now, on_retried=_reminder_hook(now))
            retried += batch
            if not batch:
                write_audit_log(session, container, "retry_emails", {"retried": retried})
                break
        click.echo(f"{retried} of {total} put back", err=True)
    click.echo(f"Put {pluralise(retried, 'email')} back into the queue.")


def _retry_by_id(email_ids: Sequence[uuid.UUID]) -> None:
    container = get_container()
    with container.database.transaction() as session:
        now = container.clock()
        # In the order in which others lock them: first all reminders.
        lock_reminders(session, email_ids)
        for email_id in sorted(set(email_ids)):
            try:
                retry_email(session, email_id, now=now, on_retried=_reminder_hook(now))
            except DomainError as error:
                # Nothing is committed, so the command can be repeated without this one.
                raise click.ClickException(f"{email_id}: {error.detail}") from error
        write_audit_log(session, container, "retry_emails", {"retried": len(email_ids)})
    click.echo(f"Put {pluralise(len(email_ids), 'email')} back into the queue.")


def _reminder_hook(now: datetime.datetime) -> OnRetried:
    def on_retried(session: Session, reminder_ids: Sequence[uuid.UUID]) -> None:
        mark_retried(session, reminder_ids, now=now)

    return on_retried


def _filter(
    *,
    status: str | None = None,
    kind: str | None = None,
    campaign: str | None = None,
    reason: str | None = None,
    due_before: datetime.datetime | None = None,
) -> EmailFilter:
    return EmailFilter(
        status=EmailStatus(status) if status else None,
        kind=EmailKind(kind) if kind else None,
        campaign=campaign,
        reason=reason,
        due_before=due_before,
    )


def _cells(email: OutgoingEmail, campaign: str | None) -> tuple[str, ...]:
    return (
        str(email.id),
        email.kind.value,
        campaign or "-",
        email.status.value,
        _instant(email.due_at) or "-",
        str(email.attempts),
        email.reason or "-",
    )


def _instant(at: datetime.datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"
