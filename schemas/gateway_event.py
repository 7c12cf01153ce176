"""What gateways tell us, on the wire."""

from marshmallow import Schema, fields

from schemas.base import StrictSchema
from schemas.fields import Timestamp
from schemas.vocabulary import EventStatus


class WebhookResponse(Schema):
    """An event is safe."""

    stored = fields.Boolean(required=True)


class EventQuery(StrictSchema):
    """Which events staff want."""

    status = fields.Enum(EventStatus, by_value=True)


class EventItem(Schema):
    """An event as staff see it: which and what became of it, and nothing of what it says."""

    id = fields.UUID(required=True)
    gateway = fields.String(required=True)
    reference = fields.String(required=True)
    kind = fields.String(required=True)
    source = fields.String(required=True, metadata={"description": "webhook, or reconciler if none came."})
    status = fields.Enum(EventStatus, by_value=True, required=True)
    reason = fields.String(required=True, allow_none=True)
    pledge = fields.UUID(required=True, allow_none=True, attribute="pledge_id")
    attempts = fields.Integer(required=True)
    occurred_at = Timestamp(required=True)
    received_at = Timestamp(required=True)
    applied_at = Timestamp(required=True, allow_none=True)


class EventPage(Schema):
    """Some events, those that came last first."""

    items = fields.List(fields.Nested(EventItem), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
