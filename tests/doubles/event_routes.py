"""Endpoints about what Stripe tells: events, and where they are sent."""

import re
from typing import Any

from stripe import params as asks

from tests.doubles.account import Account, Thing
from tests.doubles.listing import page
from tests.doubles.refusal import Refusal, missing
from tests.doubles.routes import Route, lists, retrieves

DAY = 24 * 3600
ENDPOINTS = "/v1/webhook_endpoints"


def kept_events(account: Account) -> list[Thing]:
    """Return the events that Stripe still shows: those of the last 30 days, oldest first."""
    oldest = account.now() - account.terms.events_kept_days * DAY
    return [event for event in account.events if event["created"] >= oldest]


def retrieve_event(account: Account, _params: dict[str, Any], id: str) -> Thing:  # noqa: A002 - the path's own word
    """Show one event."""
    found = [event for event in kept_events(account) if event["id"] == id]
    if not found:
        raise missing("event", id)
    return found[0]


def list_events(account: Account, params: dict[str, Any]) -> Thing:
    """List events, of one type (`invoice.*` is allowed) or of several."""
    if "type" in params and "types" in params:
        raise Refusal("You may only specify one of these parameters: type, types.", param="types")
    wanted = params.get("types") or [params.get("type", "*")]
    if len(wanted) > 20:
        raise Refusal("You may pass up to 20 event names.", param="types")
    patterns = [re.escape(name).replace(r"\*", ".*") for name in wanted]
    found = [
        event
        for event in kept_events(account)
        if any(re.fullmatch(pattern, event["type"]) for pattern in patterns)
    ]
    return page(account, found, params, "/v1/events")


def create_endpoint(account: Account, params: dict[str, Any]) -> Thing:
    """Say where events go; the secret is in this answer and in no other."""
    if account.livemode and not params["url"].startswith("https://"):
        raise Refusal("Invalid URL: an HTTPS URL is required in live mode", code="url_invalid", param="url")
    _check(params)
    made = account.keep(
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
    account.secrets[made["id"]] = account.new_id("whsec", 32)
    return made | {"secret": account.secrets[made["id"]]}


def update_endpoint(account: Account, params: dict[str, Any], id: str) -> Thing:  # noqa: A002 - the path's own word
    """Change which events go where."""
    of = account.find("webhook_endpoint", id)
    _check(params)
    for name in ("url", "enabled_events", "description", "metadata"):
        if name in params:
            of[name] = params[name]
    if "disabled" in params:
        of["status"] = "disabled" if params["disabled"] else "enabled"
    return of


def _check(params: dict[str, Any]) -> None:
    if "enabled_events" in params and not params["enabled_events"]:
        raise Refusal("Missing required param: enabled_events.", code="parameter_missing", param="enabled_events")
    if not params.get("url", "https://").startswith(("http://", "https://")):
        raise Refusal("Invalid URL: URL must be a valid HTTP URL", code="url_invalid", param="url")


def delete_endpoint(account: Account, _params: dict[str, Any], id: str) -> Thing:  # noqa: A002 - the path's own word
    """Send no more events there."""
    account.forget(account.find("webhook_endpoint", id))
    return {"id": id, "object": "webhook_endpoint", "deleted": True}


ROUTES = [
    Route("GET /v1/events", asks.EventListParams, list_events),
    Route("GET /v1/events/{id}", asks.EventRetrieveParams, retrieve_event),
    Route(f"POST {ENDPOINTS}", asks.WebhookEndpointCreateParams, create_endpoint),
    Route(f"POST {ENDPOINTS}/{{id}}", asks.WebhookEndpointUpdateParams, update_endpoint),
    Route(f"DELETE {ENDPOINTS}/{{id}}", asks.WebhookEndpointDeleteParams, delete_endpoint),
    retrieves(ENDPOINTS, "webhook_endpoint", asks.WebhookEndpointRetrieveParams),
    lists(ENDPOINTS, "webhook_endpoint", asks.WebhookEndpointListParams),
]
