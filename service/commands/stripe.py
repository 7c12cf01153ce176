"""`mainstay stripe`: the account at Stripe that takes the money."""

import ipaddress
import sys
import uuid
from typing import Any
from urllib.parse import urlsplit

import click
import structlog

from schemas.enums import EventStatus
from service.commands.context import get_container, write_audit_log
from service.container import Container
from service.domain.payments import event_processing as event_processing
from service.domain.payments import reconciliation as reconciliation
from service.domain.payments.inbox import EventFilter, list_events
from service.domain.ports import EventSource, GatewayRejected, GatewayUnavailable
from service.settings import Settings, SettingsError, StripeSettings


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


WEBHOOK_PATH = "/v1/webhooks/stripe"
PRIVATE_SUFFIXES = ("localhost", "local", "internal", "test", "invalid", "lan", "home.arpa")


class StripeGroup(click.Group):
    """Turns what Stripe refuses into one sentence and exit code 1; what is logged stays off standard output."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        before = structlog.get_config()
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=sys.stderr))
        try:
            return super().invoke(ctx)
        except GatewayUnavailable as error:
            raise click.ClickException(
                f"{error} Check STRIPE_SECRET_KEY and https://status.stripe.com, then run this again."
            ) from error
        except GatewayRejected as error:
            raise click.ClickException(str(error)) from error
        finally:
            structlog.configure(**before)


@click.group(cls=StripeGroup)
def stripe() -> None:
    """Connect with Stripe, and look at what it told us."""


def require_stripe(settings: Settings) -> StripeSettings:
    """Return the settings of Stripe, without which no command of this group makes sense.

    Raises:
        SettingsError: the service takes money by another gateway.
    """
    if settings.stripe is None:
        raise SettingsError("GATEWAY must be stripe for this, with STRIPE_SECRET_KEY.")
    return settings.stripe


@stripe.command("setup")
def setup() -> None:
    """Tell Stripe where to send events, and print the secret that proves them, once and alone on standard output.

    Running it again brings the list of events up to date; Stripe shows a secret only when an address is new to it.
    """
    # Every command is imported for each, and most have nothing to do with Stripe's library.
    from service.gateways.stripe import StripeApiClient
    from service.gateways.stripe.webhook_endpoint import upsert_webhook_endpoint

    container = get_container()
    account = require_stripe(container.settings)
    url = f"{require_public_url(container.settings.public_url, is_live=account.is_live)}{WEBHOOK_PATH}"
    done = upsert_webhook_endpoint(StripeApiClient(account, container.clock), url)
    if done.secret is not None:
        click.echo(f"Stripe now sends {done.event_count} kinds of events to {url}.", err=True)
        click.echo(
            "Put the secret into STRIPE_WEBHOOK_SECRET; Stripe shows it in its dashboard as well:", err=True
        )
        click.echo(done.secret)
        return
    click.echo(
        f"Updated: Stripe sends {done.event_count} kinds of events to {url}, under the secret it had.", err=True
    )
    if done.other_version is not None:
        click.echo(
            f"They come in the form of Stripe's API {done.other_version}, which is read as well; for that of "
            f"{done.version}, delete this endpoint in Stripe's dashboard and run this again.",
            err=True,
        )


def require_public_url(public_url: str, *, is_live: bool) -> str:
    """Return the public address, if Stripe can reach it.

    Raises:
        SettingsError: it is one of this machine or of a private network, or not encrypted although money is real.
    """
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    if _is_private_host(host):
        raise SettingsError(
            f"PUBLIC_URL must be an address that Stripe can reach from the internet, not {host}; "
            "for tests on this machine, let the Stripe CLI forward events to it."
        )
    if is_live and parts.scheme != "https":
        raise SettingsError(
            "PUBLIC_URL must begin with https:// for a live key: Stripe sends real events nowhere else."
        )
    return public_url


def _is_private_host(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    name = host.rstrip(".").lower()
    return "." not in name or name.endswith(tuple(f".{ending}" for ending in PRIVATE_SUFFIXES))


for command in (show_events, retry_event, reconcile):
    stripe.add_command(command)
