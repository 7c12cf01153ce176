"""`mainstay stripe`: the account at Stripe that takes the money."""

import ipaddress
import sys
from typing import Any
from urllib.parse import urlsplit

import click
import structlog

from service.commands.opening import get_container
from service.commands.stripe_events import reconcile, retry_event, show_events
from service.domain.ports import GatewayRejected, GatewayUnavailable
from service.settings import Settings, SettingsError, StripeSettings

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
