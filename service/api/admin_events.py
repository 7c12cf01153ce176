"""What gateways told us, for staff: what became of it, and applying again what was parked."""

import uuid
from typing import Any

from schemas.gateway_event import EventItem, EventPage, EventQuery
from schemas.pledge import PageQuery
from schemas.vocabulary import Scope
from service.api.blueprint import ResourceBlueprint
from service.api.problems import HTTP_CODES, Refusal
from service.api.staff_access import audit, staff_only
from service.db.gateway_event import GatewayEvent
from service.domain.events.inbox import EventFilter, list_events
from service.domain.events.working import retry_event
from service.domain.pagination import Page
from service.web import current_container, read_only, transaction

admin_events = ResourceBlueprint(
    "gateway events", __name__, url_prefix="/v1/admin/events", description="What gateways told us."
)


class EventListQuery(EventQuery, PageQuery):
    """Which events, and which part of the list."""


@admin_events.route("")
@staff_only(Scope.READ)
@admin_events.arguments(EventListQuery, location="query")
@admin_events.response(200, EventPage)
def show_events(query: dict[str, Any]) -> Page:
    """List events, those that came last first."""
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    with read_only() as session:
        return list_events(session, EventFilter(**query), limit=limit, cursor=cursor)


@admin_events.route("/<uuid:event_id>/apply", methods=["POST"])
@staff_only(Scope.MANAGE)
@admin_events.response(200, EventItem)
def apply_event_again(event_id: uuid.UUID) -> GatewayEvent:
    """Apply an event again, once the cause for which it was parked is gone."""
    container = current_container()
    if container.event_source is None:
        raise Refusal(404, *HTTP_CODES[404])
    with transaction() as session:
        audit(session, "apply_event", {"event": str(event_id)}, now=container.clock())
    return retry_event(container.database.transaction, container.event_source, event_id, clock=container.clock)
