"""What staff read and take out."""

from marshmallow import Schema, fields, validate

from schemas.base import StrictSchema
from schemas.enums import DisputeStatus, EventStatus, Frequency, PaymentStatus, PledgeStatus, RefundStatus
from schemas.fields import MinorUnits, Text, Timestamp
from schemas.pledge import PledgeQuery

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


class RefundRequest(StrictSchema):
    """How much is to go back; all that is left, if nothing is said."""

    amount = MinorUnits(metadata={"minimum": 1, "example": 200})


class RefundResponse(Schema):
    """Money that goes back."""

    id = fields.UUID(required=True)
    payment = fields.UUID(required=True, attribute="payment_id")
    status = fields.Enum(RefundStatus, by_value=True, required=True)
    amount = fields.Integer(required=True, attribute="amount_minor")
    currency = fields.String(required=True)
    gateway_reference = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    created_at = Timestamp(required=True)


class DisputeItem(Schema):
    """A payment that its card's holder denies."""

    status = fields.Enum(DisputeStatus, by_value=True, required=True)
    amount = fields.Integer(required=True, attribute="amount_minor")
    currency = fields.String(required=True)
    gateway_reference = fields.String(required=True)
    opened_at = Timestamp(required=True)


class BalanceItem(Schema):
    """What the gateway kept, in the currency of the balance there."""

    gross = fields.Integer(required=True, attribute="gross_minor")
    fee = fields.Integer(required=True, attribute="fee_minor")
    net = fields.Integer(required=True, attribute="net_minor")
    currency = fields.String(required=True)
    gateway_reference = fields.String(required=True)


class PaymentItem(Schema):
    """Money that moved, or failed to, and what became of it."""

    id = fields.UUID(required=True)
    status = fields.Enum(PaymentStatus, by_value=True, required=True)
    amount = fields.Integer(required=True, attribute="amount_minor")
    currency = fields.String(required=True)
    gateway = fields.String(required=True)
    gateway_reference = fields.String(required=True)
    paid_at = Timestamp(required=True)
    refunds = fields.List(fields.Nested(RefundResponse), required=True)
    disputes = fields.List(fields.Nested(DisputeItem), required=True)
    balances = fields.List(fields.Nested(BalanceItem), required=True)


class PaymentList(Schema):
    """All payments of a pledge, the oldest first."""

    items = fields.List(fields.Nested(PaymentItem), required=True)


class ErasureRequest(StrictSchema):
    """Whom to forget."""

    email = Text(max_length=320, required=True)


class ErasureResponse(Schema):
    """How much was unlinked from them and how much was deleted."""

    pledges = fields.Integer(required=True)
    reminders = fields.Integer(required=True)
