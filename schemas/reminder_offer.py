"""Reminders as a campaign offers them: in its file, and in the answer that the widget reads."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load

from schemas.base import StrictSchema
from schemas.fields import BoundedInteger


class ReminderSettings(StrictSchema):
    """Whether readers may ask to be reminded, after how many months, again every how many, and who confirms."""

    enabled = fields.Boolean(load_default=True, truthy={True}, falsy={False})
    choices = fields.List(
        BoundedInteger(minimum=1, maximum=24, metadata={"minimum": 1, "maximum": 24}),
        load_default=lambda: [1],
    )
    repeats = fields.List(
        BoundedInteger(minimum=1, maximum=12, metadata={"minimum": 1, "maximum": 12}),
        load_default=list,
        metadata={"description": "Every how many months a reminder may come again, until its reader cancels."},
    )
    confirm = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "Whether a reader confirms by mail first that the reminder is theirs."},
    )

    @post_load
    def validate_intervals(self, reminder: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Refuse an offer of nothing, or of the same twice."""
        for name, fewest, payload in (("choices", 1, "one to"), ("repeats", 0, "at most")):
            offered = reminder[name]
            if not fewest <= len(offered) <= 6 or len(set(offered)) < len(offered):
                raise ValidationError(f"Give {payload} six different numbers of months.", name)
        return reminder


class ReminderOption(Schema):
    """One reminder that readers may ask for."""

    months = fields.Integer(required=True)
    repeat = fields.Boolean(required=True, metadata={"description": "Whether it comes again until they cancel."})
    label = fields.String(required=True, metadata={"example": "In 3 months"})


class ReminderSettingsResponse(ReminderSettings):
    """The reminder choices with the words for each of them, in the order in which readers see them."""

    options = fields.List(fields.Nested(ReminderOption), required=True)
