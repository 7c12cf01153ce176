"""API endpoints of events and webhook endpoints."""

from fnmatch import fnmatchcase
from typing import Any

from flask import Blueprint
from stripe import params as sdk

from tests.stripe_double.account import DAY, Account, StripeJson
from tests.stripe_double.errors import StripeApiError, not_found
from tests.stripe_double.pagination import page
from tests.stripe_double.routing import accepts, list_route, retrieve_route

routes = Blueprint("events", __name__, url_prefix="/v1")
retrieve_route(routes, "/webhook_endpoints", "webhook_endpoint", sdk.WebhookEndpointRetrieveParams)
list_route(routes, "/webhook_endpoints", "webhook_endpoint", sdk.WebhookEndpointListParams)


def retained_events(account: Account) -> list[StripeJson]:
    """Return the events of the last 30 days, oldest first."""
    oldest = account.now() - account.settings.event_retention_days * DAY
    return [event for event in account.events if event["created"] >= oldest]


@routes.get("/events/<id>")
@accepts(sdk.EventRetrieveParams)
def retrieve_event(account: Account, _params: dict[str, Any], event_id: str) -> StripeJson:
    for event in retained_events(account):
        if event["id"] == event_id:
            return event
    raise not_found("event", event_id)


@routes.get("/events")
@accepts(sdk.EventListParams)
def list_events(account: Account, params: dict[str, Any]) -> StripeJson:
    """List events of one type (`invoice.*` is allowed) or of several."""
    if "type" in params and "types" in params:
        raise StripeApiError("You may only specify one of these parameters: type, types.", param="types")
    types = params.get("types") or [params.get("type", "*")]
    if len(types) > 20:
        raise StripeApiError("You may pass up to 20 event names.", param="types")
    found = [
        event
        for event in retained_events(account)
        if any(fnmatchcase(event["type"], pattern) for pattern in types)
    ]
    return page(found, params, "/v1/events")


@routes.post("/webhook_endpoints")
@accepts(sdk.WebhookEndpointCreateParams)
def create_webhook_endpoint(account: Account, params: dict[str, Any]) -> StripeJson:
    """Create a webhook endpoint; only this response has its secret."""
    if account.livemode and not params["url"].startswith("https://"):
        message = "Invalid URL: an HTTPS URL is required in live mode"
        raise StripeApiError(message, code="url_invalid", param="url")
    _validate(params)
    endpoint = account.store(
        {
            "id": account.new_id("we_1"),
            "object": "webhook_endpoint",
            "api_version": params.get("api_version"),
            "application": None,
            "created": account.now(),
            "description": params.get("description") or None,
            "enabled_events": list(params["enabled_events"]),
            "livemode": account.livemode,
            "metadata": dict(params.get("metadata") or {}),
            "status": "enabled",
            "url": params["url"],
        }
    )
    account.secrets[endpoint["id"]] = account.new_id("whsec", 32)
    return endpoint | {"secret": account.secrets[endpoint["id"]]}


@routes.post("/webhook_endpoints/<id>")
@accepts(sdk.WebhookEndpointUpdateParams)
def update_webhook_endpoint(account: Account, params: dict[str, Any], endpoint_id: str) -> StripeJson:
    endpoint = account.find("webhook_endpoint", endpoint_id)
    _validate(params)
    for name in ("url", "enabled_events", "description", "metadata"):
        if name in params:
            endpoint[name] = params[name]
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    return endpoint


@routes.delete("/webhook_endpoints/<id>")
@accepts(sdk.WebhookEndpointDeleteParams)
def delete_webhook_endpoint(account: Account, _params: dict[str, Any], endpoint_id: str) -> StripeJson:
    account.delete(account.find("webhook_endpoint", endpoint_id))
    return {"id": endpoint_id, "object": "webhook_endpoint", "deleted": True}


def _validate(params: dict[str, Any]) -> None:
    if "enabled_events" in params and not params["enabled_events"]:
        message = "Missing required param: enabled_events."
        raise StripeApiError(message, code="parameter_missing", param="enabled_events")
    if not params.get("url", "https://").startswith(("http://", "https://")):
        raise StripeApiError("Invalid URL: URL must be a valid HTTP URL", code="url_invalid", param="url")
