"""Pledges on the wire."""

from marshmallow import Schema, fields, validate

from schemas.base import StrictSchema
from schemas.enums import Frequency, PledgeStatus
from schemas.fields import CurrencyCode, LanguageTag, MinorUnits, Slug, Text, Timestamp, WebUrl


class PledgeRequest(StrictSchema):
    """What a reader asks to give."""

    campaign = Slug(required=True)
    frequency = fields.Enum(Frequency, by_value=True, required=True)
    amount = MinorUnits(required=True, metadata={"minimum": 1, "example": 200})
    currency = CurrencyCode(required=True)
    cover_fees = fields.Boolean(
        truthy={True},
        falsy={False},
        metadata={"description": "Whether the reader adds what the payment provider keeps, if the campaign asks."},
    )
    page_url = WebUrl(metadata={"description": "The page that the reader was on, without its query."})
    variant = Text(max_length=200, metadata={"description": "Which version of the page or box they saw."})
    lang = LanguageTag()
    return_url = WebUrl(metadata={"description": "Where to send the reader after paying."})
    reminder = Text(
        max_length=200, metadata={"description": "What stood behind `from` in the link of a reminder's mail."}
    )


class PledgeResponse(Schema):
    """Where a pledge stands: nothing personal, ever."""

    id = fields.UUID(required=True)
    status = fields.Enum(PledgeStatus, by_value=True, required=True)
    frequency = fields.Enum(Frequency, by_value=True, required=True)
    amount = MinorUnits(required=True)
    currency = fields.String(required=True)
    fees = fields.Integer(
        required=True, metadata={"description": "What is added to cover fees, in minor units; 0 if nothing."}
    )
    total = fields.Integer(required=True, metadata={"description": "What is charged: `amount` and `fees`."})
    created_at = Timestamp(required=True, metadata={"type": "string", "format": "date-time"})


class PledgeCheckoutResponse(PledgeResponse):
    """A new pledge and the page where it is paid."""

    checkout_url = fields.Url(required=True, require_tld=False)


class PledgeQuery(StrictSchema):
    """Which pledges staff want."""

    status = fields.Enum(PledgeStatus, by_value=True)
    frequency = fields.Enum(Frequency, by_value=True)
    campaign = Slug()
    created_from = Timestamp(metadata={"type": "string", "description": "A date or an instant, inclusive."})
    created_to = Timestamp(
        date_is_inclusive=True,
        metadata={"type": "string", "description": "A date (inclusive) or an instant (exclusive)."},
    )


class PageQuery(StrictSchema):
    """Which part of a list."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))
    cursor = fields.String(validate=validate.Length(max=64))
