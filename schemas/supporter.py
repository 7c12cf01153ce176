"""People on the wire."""

from marshmallow import Schema, fields

from schemas.base import StrictSchema
from schemas.fields import Text


class ErasureRequest(StrictSchema):
    """Whom to forget."""

    email = Text(max_length=320, required=True)


class ErasureResponse(Schema):
    """How much was unlinked from them and how much was deleted."""

    pledges = fields.Integer(required=True)
    reminders = fields.Integer(required=True)
