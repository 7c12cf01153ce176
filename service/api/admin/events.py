"""Gateway events, for staff: list them, and retry an event that was parked."""

import uuid
from typing import Any

from schemas.admin import EventItem, EventPage, EventQuery
from schemas.enums import Scope
from schemas.pledge import PageQuery
from service.api.auth import require_scope, write_audit_log
from service.api.blueprint import ResourceBlueprint
from service.api.problems import HTTP_PROBLEMS, ProblemException
from service.db.models.payment import GatewayEvent
from service.domain.pagination import Page
from service.domain.payments import event_processing, inbox
from service.domain.payments.inbox import EventFilter
from service.web import current_container, read_only, transaction

admin_events = ResourceBlueprint(
    "gateway events", __name__, url_prefix="/v1/admin/events", description="Events of payment gateways."
)


class EventListQuery(EventQuery, PageQuery):
    """Filters and pagination of the event list."""


@admin_events.route("")
@require_scope(Scope.READ)
@admin_events.arguments(EventListQuery, location="query")
@admin_events.response(200, EventPage)
def list_events(query: dict[str, Any]) -> Page:
    """List events, newest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    with read_only() as session:
        return inbox.list_events(session, EventFilter(**query), limit=limit, cursor=cursor)


@admin_events.route("/<uuid:event_id>/apply", methods=["POST"])
@require_scope(Scope.MANAGE)
@admin_events.response(200, EventItem)
def retry_event(event_id: uuid.UUID) -> GatewayEvent:
    """Apply a parked event again, after the cause is fixed."""
    container = current_container()
    if container.event_source is None:
        raise ProblemException(404, *HTTP_PROBLEMS[404])
    with transaction() as session:
        write_audit_log(session, "apply_event", {"event": str(event_id)}, now=container.clock())
    return event_processing.retry_event(
        container.database.transaction, container.event_source, event_id, clock=container.clock
    )
