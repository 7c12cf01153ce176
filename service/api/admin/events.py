"""Gateway events, for staff: list them, retry one that was parked, and attach one to a pledge."""

import uuid
from typing import Any

from schemas.admin import AttachRequest, EventItem, EventPage, EventQuery
from schemas.enums import Scope
from schemas.pledge import PageQuery
from service.api.auth import require_scope, write_audit_log
from service.api.blueprint import ResourceBlueprint
from service.api.problems import HTTP_PROBLEMS, ProblemException
from service.db.models.payment import GatewayEvent
from service.domain.pagination import Page
from service.domain.payments import attachment, event_processing, inbox
from service.domain.payments.inbox import EventFilter
from service.domain.payments.parked import advice
from service.domain.ports import EventSource
from service.web import current_container, read_only, transaction

EVENT_FIELDS = (
    "id",
    "gateway",
    "reference",
    "kind",
    "source",
    "status",
    "reason",
    "pledge_id",
    "attempts",
    "occurred_at",
    "received_at",
    "applied_at",
)

admin_events = ResourceBlueprint(
    "gateway events", __name__, url_prefix="/v1/admin/events", description="Events of the payment provider."
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
        page = inbox.list_events(session, EventFilter(**query), limit=limit, cursor=cursor)
    return Page([_with_advice(event) for event in page.items], page.next_cursor)


@admin_events.route("/<uuid:event_id>/apply", methods=["POST"])
@require_scope(Scope.MANAGE)
@admin_events.response(200, EventItem)
def retry_event(event_id: uuid.UUID) -> dict[str, Any]:
    """Apply a parked event again, after the cause is fixed."""
    container, source = current_container(), _require_event_source()
    with transaction() as session:
        write_audit_log(session, "apply_event", {"event": str(event_id)}, now=container.clock())
    event = event_processing.retry_event(container.database.transaction, source, event_id, clock=container.clock)
    return _with_advice(event)


@admin_events.route("/<uuid:event_id>/attach", methods=["POST"])
@require_scope(Scope.MANAGE)
@admin_events.arguments(AttachRequest)
@admin_events.response(200, EventItem)
def attach_event(payload: dict[str, Any], event_id: uuid.UUID) -> dict[str, Any]:
    """Attach a parked event to a pledge: a subscription that staff made, or a second payment."""
    container, source = current_container(), _require_event_source()
    pledge_id = payload["pledge_id"]
    details = {"event": str(event_id), "pledge": str(pledge_id)}
    with transaction() as session:
        write_audit_log(session, "attach_event", details, now=container.clock())
    event = attachment.attach_event(
        container.database.transaction, source, event_id, pledge_id, clock=container.clock
    )
    return _with_advice(event)


def _require_event_source() -> EventSource:
    source = current_container().event_source
    if source is None:
        raise ProblemException(404, *HTTP_PROBLEMS[404])
    return source


def _with_advice(event: GatewayEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in EVENT_FIELDS} | {"advice": advice(event)}
