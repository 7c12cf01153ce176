"""Schemas of reminders."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from schemas.base import StrictSchema
from schemas.enums import Frequency, ReminderStatus
from schemas.fields import (
    BoundedInteger,
    CalendarDate,
    CurrencyCode,
    EmailAddress,
    JsonBoolean,
    MinorUnits,
    PageTitle,
    ReaderLanguage,
    Slug,
    Text,
    Timestamp,
    TimezoneName,
    WebUrl,
)
from schemas.period import DayOrInstant, PeriodQuery

MAX_PAGE_TITLE_LENGTH = 200


class Months(BoundedInteger):
    """A number of calendar months."""

    def __init__(self) -> None:
        super().__init__(minimum=1, maximum=24)


DUE_ON_DESCRIPTION = (
    "A day from tomorrow until 12 months ahead, instead of `months`, where the campaign has `reminder.pick_date`."
)


class DelayRequest(StrictSchema):
    """When a reminder is to come: after a number of months, or on a day."""

    months = Months()
    due_on = CalendarDate(metadata={"description": DUE_ON_DESCRIPTION})

    @validates_schema
    def validate_delay(self, data: dict[str, Any], **_: Any) -> None:
        """Check that a day is given alone."""
        if data.get("due_on") is None:
            return
        if "months" in data:
            raise ValidationError("Give either `months` or `due_on`.", "due_on")
        if data.get("repeat"):
            raise ValidationError("A reminder on a day of its own comes once; leave out `repeat`.", "repeat")


class ReminderRequest(DelayRequest):
    """A reminder that a reader asks for."""

    campaign = Slug(required=True)
    email = EmailAddress(required=True, metadata={"example": "reader@example.org"})
    repeat = JsonBoolean(
        metadata={"description": "Whether the reminder repeats every `months` months until the reader cancels."},
    )
    timezone = TimezoneName(metadata={"example": "Europe/Amsterdam"})
    frequency = fields.Enum(Frequency, by_value=True)
    amount = MinorUnits(metadata={"example": 500})
    currency = CurrencyCode(metadata={"description": "The currency of `amount`; the campaign's own by default."})
    page_url = WebUrl(metadata={"description": "The URL of the page that the reader was on, without its query."})
    page_title = PageTitle(
        max_length=MAX_PAGE_TITLE_LENGTH,
        metadata={
            "description": "The title of that page, for the email; shown only if the page is the newsroom's."
        },
    )
    lang = ReaderLanguage()
    consent_version = Text(
        max_length=64, metadata={"description": "The version of the privacy text that the reader agreed to."}
    )


class SnoozeRequest(DelayRequest):
    """The number of months from today to postpone a reminder to, or the day."""


class ReminderResponse(Schema):
    """When the email will be sent; the response does not reveal whether the address was known."""

    status = fields.Enum(ReminderStatus, by_value=True, required=True)
    due_on = fields.Date(required=True)
    due_at = Timestamp(required=True)
    repeat = fields.Boolean(
        required=True, metadata={"description": "Whether the reminder repeats until it is cancelled."}
    )


class ReminderQuery(PeriodQuery):
    """Filters of the reminder list."""

    status = fields.Enum(ReminderStatus, by_value=True)
    campaign = Slug()
    due_from = DayOrInstant()
    due_to = DayOrInstant(is_end=True)


class ReminderItem(Schema):
    """A reminder as staff see it, without its supporter's address."""

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
    """A page of reminders, newest first."""

    items = fields.List(fields.Nested(ReminderItem), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
