"""`mainstay stripe`: set up the webhook, list and retry events, reconcile with Stripe."""

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
from service.domain.payments import attachment, event_processing, reconciliation
from service.domain.payments.inbox import EventFilter, list_events
from service.domain.payments.parked import advice
from service.domain.pledges.installation import replace_installation_id
from service.domain.ports import EventSource, GatewayRejected, GatewayUnavailable
from service.domain.privacy.erasure import complete_erasures
from service.setting_values import SettingsError
from service.settings import Settings, StripeSettings

WEBHOOK_PATH = "/v1/webhooks/stripe"
PRIVATE_SUFFIXES = ("localhost", "local", "internal", "test", "invalid", "lan", "home.arpa")


class StripeGroup(click.Group):
    """Reports Stripe's errors as one sentence with exit code 1, and logs to standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        previous_config = structlog.get_config()
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
            structlog.configure(**previous_config)


@click.group(cls=StripeGroup)
def stripe() -> None:
    """Connect with Stripe, and inspect and reconcile its events."""


@stripe.command("setup")
def setup() -> None:
    """Create or update the webhook endpoint at Stripe, and print the signing secret of a new one.

    Only the secret goes to standard output. Run the command again to update the list of event types; Stripe
    reveals a secret only when it creates an endpoint.
    """
    # Imported here, because every command imports this module and most do not need Stripe's library.
    from service.gateways.stripe import StripeApiClient
    from service.gateways.stripe.webhook_endpoint import upsert_webhook_endpoint

    container = get_container(needs_database=False)
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
    """Return the public URL, if Stripe can reach it.

    Raises:
        SettingsError: it is local or in a private network, or not https although the key is live.
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
    return "." not in name or name.endswith(tuple(f".{suffix}" for suffix in PRIVATE_SUFFIXES))


@stripe.command("events")
@click.option(
    "--status", type=click.Choice([status.value for status in EventStatus]), help="Only events with this status."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many to show.")
def show_events(status: str | None, limit: int) -> None:
    """List stored Stripe events, newest first: time received, Stripe's id, type, status, and our id.

    Parked events need your attention: under each is what to do about it.
    """
    filters = EventFilter(status=None if status is None else EventStatus(status))
    with get_container().database.read_only() as session:
        events = list_events(session, filters, limit=limit, cursor=None).items
    for event in events:
        received_at = f"{event.received_at:%Y-%m-%dT%H:%M:%SZ}"
        reason = f"  {event.reason}" if event.reason else ""
        click.echo(f"{received_at}  {event.reference}  {event.kind}  {event.status}  {event.id}{reason}")
        what_to_do = advice(event)
        if what_to_do is not None:
            click.echo(f"    {what_to_do}")
    if not events:
        which = f"is {status}" if status else "is stored yet; mainstay stripe setup connects Stripe's webhook"
        click.echo(f"No event of Stripe {which}.", err=True)


@stripe.command("apply")
@click.argument("event", type=click.UUID)
def retry_event(event: uuid.UUID) -> None:
    """Apply the parked event with the id EVENT again, after the cause is fixed."""
    container = get_container()
    source = require_event_source(container)
    with container.database.transaction() as session:
        write_audit_log(session, container, "apply_event", {"event": str(event)})
    retried = event_processing.retry_event(container.database.transaction, source, event, clock=container.clock)
    if retried.status not in (EventStatus.APPLIED, EventStatus.IGNORED):
        raise click.ClickException(f"It is {retried.status}: {retried.reason}")
    click.echo(f"{retried.reference} is {retried.status}.")


@stripe.command("attach")
@click.argument("event", type=click.UUID)
@click.option("--pledge", "pledge", type=click.UUID, required=True, help="The pledge that the event belongs to.")
def attach_event(event: uuid.UUID, pledge: uuid.UUID) -> None:
    """Attach the parked event with the id EVENT to a pledge, and apply it.

    Use it for a subscription that staff made at Stripe, once the pledge's own is cancelled, and for a second
    payment of a one-time pledge. It cannot be undone: the payment counts, and its receipt is sent.
    """
    container = get_container()
    source = require_event_source(container)
    with container.database.transaction() as session:
        write_audit_log(session, container, "attach_event", {"event": str(event), "pledge": str(pledge)})
    attached = attachment.attach_event(
        container.database.transaction, source, event, pledge, clock=container.clock
    )
    click.echo(f"{attached.reference} is {attached.status} to {pledge}.")


@stripe.command("new-installation-id")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def create_installation_id(yes: bool) -> None:
    """Give this database, a copy of another, an id of its own at Stripe.

    A copy has the same id as its original, and would apply the original's events. Never run this on the original:
    it would ignore the events of every pledge made before.
    """
    container = get_container()
    if not yes:
        click.confirm(
            "Is this database a copy? From now on, the events of its pledges so far are ignored.", abort=True
        )
    with container.database.transaction() as session:
        installation_id = replace_installation_id(session)
        write_audit_log(session, container, "new_installation_id", {"installation": str(installation_id)})
    click.echo(f"This installation is now {installation_id}.")


@stripe.command("reconcile")
def reconcile() -> None:
    """Fetch all events since the last reconciliation, and apply those that webhooks missed.

    It also completes operations at Stripe whose outcome was never recorded. A worker runs this every night;
    running it at any other time does no harm.
    """
    container = get_container()

    def show_progress(seen: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{seen} events seen", err=True, nl=False)

    report = reconciliation.reconcile(
        container.database.transaction,
        container.gateway,
        require_event_source(container),
        urls=container.urls,
        clock=container.clock,
        on_progress=show_progress,
    )
    erasures = complete_erasures(container.database.transaction, container.gateway, clock=container.clock)
    with container.database.transaction() as session:
        write_audit_log(session, container, "reconcile", report.counts())
    click.echo(f"Stripe lists {report.seen} events, of which webhooks missed {report.missed}.")
    completed = {f"{kind} completed": count for kind, count in report.completed.items()}
    completed |= {"erasures completed": erasures["completed"]} if erasures["completed"] else {}
    for name, count in sorted((report.events | completed).items()):
        click.echo(f"{count:>8}  {name.replace('_', ' ')}")


def require_stripe(settings: Settings) -> StripeSettings:
    """Return the Stripe settings.

    Raises:
        SettingsError: the configured gateway is not Stripe.
    """
    if settings.stripe is None:
        raise SettingsError("GATEWAY must be stripe for this, with STRIPE_SECRET_KEY.")
    return settings.stripe


def require_event_source(container: Container) -> EventSource:
    """Return the source of Stripe's events.

    Raises:
        SettingsError: the configured gateway is not Stripe.
    """
    if container.event_source is None:
        raise SettingsError("GATEWAY must be stripe for this, with STRIPE_SECRET_KEY.")
    return container.event_source
