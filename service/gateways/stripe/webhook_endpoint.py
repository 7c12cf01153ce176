"""Create or update the webhook endpoint at Stripe for the service's public URL.

See https://docs.stripe.com/api/webhook_endpoints. Stripe fixes an endpoint's API version when it is created, and
shows its secret only then.
"""

from dataclasses import dataclass, field

from stripe import WebhookEndpoint
from stripe.params import WebhookEndpointCreateParams, WebhookEndpointUpdateParams

from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.event_parsers import EVENT_PARSERS

DESCRIPTION = "Mainstay"


@dataclass(frozen=True, kw_only=True)
class WebhookEndpointSetup:
    """The endpoint. `secret` is set if it is new, `other_version` if its API version is not the library's."""

    event_count: int
    version: str
    secret: str | None = field(default=None, repr=False)
    other_version: str | None = None


def upsert_webhook_endpoint(api: StripeApiClient, url: str) -> WebhookEndpointSetup:
    """Subscribe this URL to exactly the events that have a parser.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request.
    """
    existing = _find_endpoint(api, url)
    kinds = sorted(EVENT_PARSERS)
    if existing is None:
        new: WebhookEndpointCreateParams = {
            "url": url,
            "enabled_events": kinds,  # type: ignore[typeddict-item]  # EVENT_PARSERS holds Stripe's literals
            "api_version": api.version,  # type: ignore[typeddict-item]  # one of Stripe's literals too
            "description": DESCRIPTION,
        }
        created = api.call("create_webhook_endpoint", lambda v1: v1.webhook_endpoints.create(new))
        return WebhookEndpointSetup(event_count=len(kinds), version=api.version, secret=created.secret)
    changes: WebhookEndpointUpdateParams = {
        "enabled_events": kinds,  # type: ignore[typeddict-item]  # as above
        "disabled": False,
    }
    updated = api.call("update_webhook_endpoint", lambda v1: v1.webhook_endpoints.update(existing.id, changes))
    version = updated.api_version
    return WebhookEndpointSetup(
        event_count=len(kinds),
        version=api.version,
        other_version=None if version == api.version else version or "default",
    )


def _find_endpoint(api: StripeApiClient, url: str) -> WebhookEndpoint | None:
    # An account has at most 16 endpoints (https://docs.stripe.com/webhooks), so one page holds them all.
    page = api.call("list_webhook_endpoints", lambda v1: v1.webhook_endpoints.list({"limit": 100}))
    return next((endpoint for endpoint in page.data if endpoint.url == url), None)
