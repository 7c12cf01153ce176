"""What staff read and take out."""

from marshmallow import Schema, fields, validate

from schemas.fields import Timestamp
from schemas.pledge import PledgeQuery
from schemas.vocabulary import Frequency, PledgeStatus

FORMATS = ("csv", "jsonl", "xlsx")


class ExportQuery(PledgeQuery):
    """Which pledges, and how to write them."""

    format = fields.String(load_default="csv", validate=validate.OneOf(FORMATS))


class PledgeItem(Schema):
    """A pledge as staff see it, without its reader's address."""

    id = fields.UUID(required=True)
    created_at = Timestamp(required=True)
    campaign = fields.String(required=True)
    status = fields.Enum(PledgeStatus, by_value=True, required=True)
    frequency = fields.Enum(Frequency, by_value=True, required=True)
    amount = fields.Integer(required=True, attribute="amount_minor", metadata={"description": "Minor units."})
    currency = fields.String(required=True)
    payments = fields.Integer(required=True)
    paid_total = fields.Integer(required=True, attribute="paid_minor", metadata={"description": "Minor units."})
    last_payment_at = Timestamp(required=True, allow_none=True)
    page_url = fields.String(required=True, allow_none=True)
    variant = fields.String(required=True, allow_none=True)
    gateway = fields.String(required=True)
    gateway_reference = fields.String(required=True, allow_none=True)


class PledgePage(Schema):
    """Some pledges, the newest first."""

    items = fields.List(fields.Nested(PledgeItem), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class PaymentTotal(Schema):
    """What was paid in one currency and did not go back."""

    currency = fields.String(required=True)
    payments = fields.Integer(required=True)
    amount = fields.Integer(required=True, metadata={"description": "Minor units."})


class LedgerTotal(Schema):
    """What moved in one currency, in minor units; `disputed` is with banks, or lost to them."""

    currency = fields.String(required=True)
    received = fields.Integer(required=True)
    refunded = fields.Integer(required=True)
    disputed = fields.Integer(required=True)


class BalanceTotalItem(Schema):
    """What the gateway kept of payments, in minor units of the currency of the balance there."""

    currency = fields.String(required=True)
    gross = fields.Integer(required=True)
    fees = fields.Integer(required=True)
    net = fields.Integer(required=True)


class Conversions(Schema):
    """What came of reminders."""

    pledges = fields.Integer(
        required=True, metadata={"description": "Completed or active, from a reminder's link."}
    )


class SummaryResponse(Schema):
    """How the desk stands, in numbers."""

    pledges = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    reminders = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    paid = fields.List(fields.Nested(PaymentTotal), required=True)
    ledger = fields.List(fields.Nested(LedgerTotal), required=True)
    balances = fields.List(fields.Nested(BalanceTotalItem), required=True)
    reminders_due = fields.Integer(required=True)
    conversions = fields.Nested(Conversions, required=True)
