"""Reminders on the wire."""

from marshmallow import Schema, fields

from schemas.base import StrictSchema
from schemas.enums import Frequency, ReminderStatus
from schemas.fields import (
    BoundedInteger,
    CurrencyCode,
    LanguageTag,
    MinorUnits,
    Slug,
    Text,
    Timestamp,
    TimezoneName,
    WebUrl,
)


class Months(BoundedInteger):
    """A number of calendar months."""

    def __init__(self) -> None:
        super().__init__(minimum=1, maximum=24, metadata={"minimum": 1, "maximum": 24})


class ReminderRequest(StrictSchema):
    """What a reader asks for when they are not ready today."""

    campaign = Slug(required=True)
    email = Text(max_length=320, required=True, metadata={"example": "reader@example.org"})
    months = Months()
    repeat = fields.Boolean(
        truthy={True},
        falsy={False},
        metadata={"description": "Again and again, every so many months, until the reader cancels."},
    )
    timezone = TimezoneName(metadata={"example": "Europe/Amsterdam"})
    frequency = fields.Enum(Frequency, by_value=True)
    amount = MinorUnits(metadata={"minimum": 1, "example": 500})
    currency = CurrencyCode(metadata={"description": "Of `amount`; the campaign's own if left out."})
    page_url = WebUrl(metadata={"description": "The page that the reader was on, without its query."})
    lang = LanguageTag()
    consent_version = Text(max_length=64, metadata={"description": "Which privacy text they agreed to."})


class SnoozeRequest(StrictSchema):
    """How far to move a reminder on, from today."""

    months = Months()


class ReminderResponse(Schema):
    """When the mail will come: the same answer whether or not the address was known."""

    status = fields.Enum(ReminderStatus, by_value=True, required=True)
    due_on = fields.Date(required=True)
    due_at = Timestamp(required=True, metadata={"type": "string", "format": "date-time"})
    repeat = fields.Boolean(required=True, metadata={"description": "Whether others follow it until cancelled."})


class ReminderQuery(StrictSchema):
    """Which reminders staff want."""

    status = fields.Enum(ReminderStatus, by_value=True)
    campaign = Slug()
    due_from = Timestamp(metadata={"type": "string", "description": "A date or an instant, inclusive."})
    due_to = Timestamp(
        date_is_inclusive=True,
        metadata={"type": "string", "description": "A date (inclusive) or an instant (exclusive)."},
    )


class ReminderItem(Schema):
    """A reminder as staff see it, without its reader's address."""

    id = fields.UUID(required=True)
    campaign = fields.String(required=True, allow_none=True)
    status = fields.Enum(ReminderStatus, by_value=True, required=True)
    occurrence = fields.Integer(required=True)
    repeat = fields.Boolean(required=True)
    every_months = fields.Integer(required=True, allow_none=True)
    awaits_confirmation = fields.Boolean(required=True)
    due_on = fields.Date(required=True)
    due_at = Timestamp(required=True)
    asked_at = Timestamp(required=True)
    sent_at = Timestamp(required=True, allow_none=True)
    attempts = fields.Integer(required=True)
    reason = fields.String(required=True, allow_none=True)


class ReminderPage(Schema):
    """Some reminders, the newest first."""

    items = fields.List(fields.Nested(ReminderItem), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
