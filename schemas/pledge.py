"""Schemas of pledges."""

from marshmallow import Schema, fields, validate

from schemas.base import StrictSchema
from schemas.enums import Frequency, PledgeStatus
from schemas.fields import (
    CurrencyCode,
    JsonBoolean,
    MinorUnits,
    QueryFlag,
    ReaderLanguage,
    RegexString,
    Slug,
    Text,
    Timestamp,
    WebUrl,
)
from schemas.period import DayOrInstant, PeriodQuery


class PledgeRequest(StrictSchema):
    """A pledge that a reader wants to make."""

    campaign = Slug(required=True)
    frequency = fields.Enum(Frequency, by_value=True, required=True)
    amount = MinorUnits(required=True, metadata={"example": 200})
    currency = CurrencyCode(required=True)
    cover_fees = JsonBoolean(
        metadata={
            "description": "Whether the reader also covers the payment provider's fee, if the campaign offers it."
        },
    )
    page_url = WebUrl(metadata={"description": "The URL of the page that the reader was on, without its query."})
    variant = RegexString(
        "[A-Za-z0-9._-]+",
        hint="Use up to 64 letters, digits, dots, hyphens and underscores, such as article-foot.",
        metadata={"description": "The version of the page or widget that the reader saw."},
    )
    lang = ReaderLanguage()
    return_url = WebUrl(metadata={"description": "Where the reader returns to after paying."})
    reminder = Text(
        max_length=200,
        metadata={
            "description": "The value of `from` in a link of ours, such as that of a reminder email. For 30 days, "
            "the reader also pays as the same customer of the payment provider as before."
        },
    )


class PledgeResponse(Schema):
    """A pledge's status and amounts, without personal data."""

    id = fields.UUID(required=True)
    status = fields.Enum(PledgeStatus, by_value=True, required=True)
    frequency = fields.Enum(Frequency, by_value=True, required=True)
    amount = MinorUnits(required=True)
    currency = fields.String(required=True)
    fees = fields.Integer(
        required=True, metadata={"description": "The amount added to cover fees, in minor units; 0 if none."}
    )
    total = fields.Integer(required=True, metadata={"description": "The amount charged: `amount` plus `fees`."})
    created_at = Timestamp(required=True)


class PledgeCheckoutResponse(PledgeResponse):
    """A new pledge and the URL of its checkout."""

    checkout_url = fields.Url(required=True, require_tld=False)


class PledgeQuery(PeriodQuery):
    """Filters of the pledge list. With `paid_from` or `paid_to`, the totals are of the payments in this period."""

    status = fields.Enum(PledgeStatus, by_value=True)
    frequency = fields.Enum(Frequency, by_value=True)
    campaign = Slug()
    created_from = DayOrInstant()
    created_to = DayOrInstant(is_end=True)
    paid_from = DayOrInstant()
    paid_to = DayOrInstant(is_end=True)
    giving_twice = QueryFlag(
        metadata={
            "description": "With true, running recurring pledges of supporters who have another one in the same"
            " campaign; with false, all others."
        },
    )


class PageQuery(StrictSchema):
    """Pagination of a list."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))
    cursor = fields.String(
        validate=validate.Length(max=64),
        metadata={"pattern": "^[A-Za-z0-9_-]{22}$", "minLength": 22, "maxLength": 22},
    )
