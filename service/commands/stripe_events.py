"""`mainstay stripe events|apply|reconcile`: what Stripe told us, and what it did not."""

import sys
import uuid

import click

from schemas.enums import EventStatus
from service.commands.opening import get_container, write_audit_log
from service.desk import Container
from service.domain.payments import event_processing as event_processing
from service.domain.payments import reconciliation as reconciliation
from service.domain.payments.inbox import EventFilter, list_events
from service.domain.ports import EventSource
from service.settings import SettingsError


def require_event_source(container: Container) -> EventSource:
    """Return what tells of the events at Stripe.

    Raises:
        SettingsError: the service takes money by another gateway.
    """
    if container.event_source is None:
        raise SettingsError("GATEWAY must be stripe for this, with STRIPE_SECRET_KEY.")
    return container.event_source


@click.command("events")
@click.option(
    "--status", type=click.Choice([word.value for word in EventStatus]), help="Only those that are here."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
def show_events(status: str | None, limit: int) -> None:
    """List what Stripe told us, the latest first: when, the event's name, its kind, what became of it, and its id.

    Those that are parked wait for somebody: once the cause is gone, mainstay stripe apply takes the id.
    """
    wanted = EventFilter(status=None if status is None else EventStatus(status))
    with get_container().database.read_only() as session:
        events = list_events(session, wanted, limit=limit, cursor=None).items
    for event in events:
        came = f"{event.received_at:%Y-%m-%dT%H:%M:%SZ}"
        why = f"  {event.reason}" if event.reason else ""
        click.echo(f"{came}  {event.reference}  {event.kind}  {event.status}  {event.id}{why}")
    if not events:
        click.echo("There is no such event.", err=True)


@click.command("apply")
@click.argument("event", type=click.UUID)
def retry_event(event: uuid.UUID) -> None:
    """Apply EVENT again, by its id, once the cause for which it was parked is gone."""
    container = get_container()
    source = require_event_source(container)
    with container.database.transaction() as session:
        write_audit_log(session, container, "apply_event", {"event": str(event)})
    found = event_processing.retry_event(container.database.transaction, source, event, clock=container.clock)
    if found.status not in (EventStatus.APPLIED, EventStatus.IGNORED):
        raise click.ClickException(f"It is {found.status}: {found.reason}")
    click.echo(f"{found.reference} is {found.status}.")


@click.command("reconcile")
def reconcile() -> None:
    """Ask Stripe for all that happened since the last time, and apply what no webhook told us.

    It also finishes what was ordered of Stripe and never written down as done. A worker does this each night;
    running it at any other time does no harm.
    """
    container = get_container()

    def show(seen: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{seen} events seen", err=True, nl=False)

    report = reconciliation.reconcile(
        container.database.transaction,
        container.gateway,
        require_event_source(container),
        links=container.urls,
        clock=container.clock,
        on_progress=show,
    )
    with container.database.transaction() as session:
        write_audit_log(session, container, "reconcile", report.counts())
    click.echo(f"Stripe tells of {report.seen} events, of which no webhook told us {report.missed}.")
    for name, number in sorted(
        {**report.events, **{f"{kind} mended": n for kind, n in report.completed.items()}}.items()
    ):
        click.echo(f"{number:>8}  {name.replace('_', ' ')}")
