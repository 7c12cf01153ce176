"""`mainstay restore-guard`: hold what may have been sent before a backup was restored, and decide on it."""

import datetime
import re
import uuid
from collections.abc import Callable
from typing import Any

import click

from schemas.enums import EmailKind
from service.commands.context import get_container, pluralise, write_audit_log
from service.container import Container
from service.db.clock import utc_now
from service.domain.monitoring.restore_guard import (
    HeldFilter,
    cancel_held,
    confirm_database,
    count_held,
    list_each_held,
    list_held,
    release_held,
    start_guard,
    stop_guard,
)

KINDS = click.Choice([kind.value for kind in EmailKind])


class Instant(click.ParamType[datetime.datetime]):
    """An instant as in RFC 3339, or `now`."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime.datetime:
        if isinstance(value, datetime.datetime):
            return value
        text = str(value).strip()
        if text.lower() == "now":
            return utc_now()
        try:
            instant = datetime.datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None:
            self.fail(
                f"{text!r} must be an instant with its zone, such as 2026-11-26T14:30:00Z, or now.", param, ctx
            )
        return instant.astimezone(datetime.UTC)


INSTANT = Instant()


@click.group("restore-guard", invoke_without_command=True)
@click.option(
    "--sent-before",
    type=INSTANT,
    help="Hold what was due before this instant, such as 2026-11-26T14:30:00Z or now.",
)
@click.option(
    "--nothing-restored", is_flag=True, help="Use the database as it is: the worker was only stopped, or it moved."
)
@click.pass_context
def restore_guard(ctx: click.Context, sent_before: datetime.datetime | None, nothing_restored: bool) -> None:
    """After a restore, hold emails that may have been sent.

    Emails may have been sent after the backup was made, and must not be sent again.

    Stop the workers before you restore, and run this before you start them again. INSTANT is when the last worker
    stopped; when in doubt, say now. What was due before it stays in the queue until you release or cancel it, and
    so do the emails about payments before it that the payment provider reports again.
    """
    if ctx.invoked_subcommand is not None:
        return
    if (sent_before is None) == (not nothing_restored):
        raise click.UsageError(
            "Give either --sent-before INSTANT or --nothing-restored, or a command; see --help."
        )
    container = get_container()
    now = container.clock()
    if sent_before is None:
        with container.database.transaction() as session:
            confirm_database(session, now=now)
            write_audit_log(session, container, "restore_guard", {"restored": False})
        click.echo("Workers may use this database.")
        return
    if sent_before > now:
        raise click.BadParameter(
            "it is in the future; say when the last worker stopped, or now.", param_hint="--sent-before"
        )
    with container.database.transaction() as session:
        held = start_guard(session, sent_before=sent_before, now=now)
        details = {"sent_before": sent_before.isoformat(), "held": held}
        write_audit_log(session, container, "restore_guard", details)
    click.echo(f"Held {pluralise(held, 'email')} due before {sent_before:%Y-%m-%d %H:%M:%S} UTC.")
    if held:
        click.echo("See mainstay restore-guard list; then release what was not sent, and cancel what was.")


@restore_guard.command("list")
@click.option("--each", is_flag=True, help="One line for each email: id, kind, and when it was due.")
@click.option("--kind", type=KINDS, help="Only emails of this kind.")
def show_held(each: bool, kind: str | None) -> None:
    """Count the held emails by kind, or list each."""
    with get_container().database.read_only() as session:
        held = [row for row in list_held(session) if kind in (None, row.kind)]
        rows = list_each_held(session, HeldFilter(kind=EmailKind(kind) if kind else None)) if each else []
    for row_id, row_kind, due_at in rows:
        click.echo(f"{row_id}  {row_kind:<13}  {due_at:%Y-%m-%d %H:%M:%S}")
    if not each:
        for row in held:
            click.echo(
                f"{row.count:>8}  {row.kind:<13}  due {row.first_due_at:%Y-%m-%d %H:%M} to "
                f"{row.last_due_at:%Y-%m-%d %H:%M} UTC"
            )
    if not held:
        click.echo("No email is held.", err=True)


def _filter_options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.argument("ids", nargs=-1, type=click.UUID, metavar="[ID]..."),
        click.option("--kind", type=KINDS, help="Only emails of this kind."),
        click.option("--due-from", type=INSTANT, help="Only emails that were due at this instant or later."),
        click.option("--due-before", type=INSTANT, help="Only emails that were due before this instant."),
        click.option("--yes", is_flag=True, help="Do not ask for confirmation."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@restore_guard.command("release")
@_filter_options
def release(yes: bool, **filters: Any) -> None:
    """Send held emails that were not sent before; without a filter, all of them."""
    _decide(
        "Send {}?", "Released {}.", yes, filters, lambda _container, session, held: release_held(session, held)
    )


@restore_guard.command("cancel")
@_filter_options
def cancel(yes: bool, **filters: Any) -> None:
    """Take held emails as sent; without a filter, all of them. Reminders that repeat come on their next date."""

    def cancel_batch(container: Container, session: Any, held: HeldFilter) -> int:
        month_seconds = container.settings.month_seconds
        return cancel_held(session, held, now=container.clock(), month_seconds=month_seconds)

    _decide("Take {} as sent?", "Took {} as sent.", yes, filters, cancel_batch)


@restore_guard.command("undo")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def undo(yes: bool) -> None:
    """End the guard: release what is still held, and hold nothing that is reported late."""
    _decide(
        "Send {}?",
        "Released {}.",
        yes,
        {},
        lambda _container, session, held: release_held(session, held),
        is_end=True,
    )


def _decide(
    question: str,
    result: str,
    yes: bool,
    filters: dict[str, Any],
    decide: Callable[[Container, Any, HeldFilter], int],
    *,
    is_end: bool = False,
) -> None:
    container = get_container()
    ids: tuple[uuid.UUID, ...] = filters.pop("ids", ())
    kind = filters.pop("kind", None)
    held = HeldFilter(ids=ids, kind=EmailKind(kind) if kind else None, **filters)
    with container.database.read_only() as session:
        total = count_held(session, held)
    if not total:
        click.echo("No such email is held.", err=True)
    elif not yes:
        click.confirm(question.format(pluralise(total, "email")), abort=True, err=True)
    done = 0
    while total:
        with container.database.transaction() as session:
            batch = decide(container, session, held)
        done += batch
        if not batch:
            break
        click.echo(f"{done} of {total}", err=True)
    with container.database.transaction() as session:
        if is_end:
            stop_guard(session)
        if done or is_end:
            action = click.get_current_context().info_name
            write_audit_log(session, container, f"restore_guard_{action}", {"count": done})
    if done:
        click.echo(result.format(pluralise(done, "email")))
    if is_end:
        click.echo("The guard has ended.")
