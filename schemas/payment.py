"""The ledger on the wire, as staff see it. All amounts are in minor units."""

from marshmallow import Schema, fields

from schemas.base import StrictSchema
from schemas.fields import MinorUnits, Timestamp
from schemas.vocabulary import DisputeStatus, PaymentStatus, RefundStatus


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
