"""Where Stripe sends its events: one webhook endpoint for each public address of ours.

See https://docs.stripe.com/api/webhook_endpoints. Its API version is fixed when it is made, its secret shown only
then.
"""

from dataclasses import dataclass, field

from stripe import WebhookEndpoint
from stripe.params import WebhookEndpointCreateParams, WebhookEndpointUpdateParams

from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.event_parsers import EVENT_PARSERS

DESCRIPTION = "Mainstay"


@dataclass(frozen=True, kw_only=True)
class WebhookEndpointSetup:
    """What was set up. `secret` is given for a new one, `other_version` for an old one in another form."""

    event_count: int
    version: str
    secret: str | None = field(default=None, repr=False)
    other_version: str | None = None


def upsert_webhook_endpoint(api: StripeApiClient, url: str) -> WebhookEndpointSetup:
    """Have Stripe send to this address exactly what we handle.

    Raises:
        GatewayUnavailable, GatewayRejected: Stripe did not do it.
    """
    existing = _find(api, url)
    kinds = sorted(EVENT_PARSERS)
    if existing is None:
        new: WebhookEndpointCreateParams = {
            "url": url,
            "enabled_events": kinds,  # type: ignore[typeddict-item]  # the table's keys are words of Stripe's
            "api_version": api.version,  # type: ignore[typeddict-item]  # so is this
            "description": DESCRIPTION,
        }
        created = api.call("create_endpoint", lambda v1: v1.webhook_endpoints.create(new))
        return WebhookEndpointSetup(event_count=len(kinds), version=api.version, secret=created.secret)
    changed: WebhookEndpointUpdateParams = {
        "enabled_events": kinds,  # type: ignore[typeddict-item]  # as above
        "disabled": False,
    }
    updated = api.call("update_endpoint", lambda v1: v1.webhook_endpoints.update(existing.id, changed))
    version = updated.api_version
    return WebhookEndpointSetup(
        event_count=len(kinds),
        version=api.version,
        other_version=None if version == api.version else version or "default",
    )


def _find(api: StripeApiClient, url: str) -> WebhookEndpoint | None:
    # An account has 16 at most (https://docs.stripe.com/webhooks), so that one page shows them all.
    page = api.call("list_endpoints", lambda v1: v1.webhook_endpoints.list({"limit": 100}))
    return next((one for one in page.data if one.url == url), None)
