"""Schemas of the staff API: lists, summary, export, events, refunds and erasures."""

from marshmallow import Schema, fields, validate

from schemas.base import StrictSchema
from schemas.enums import (
    DisputeStatus,
    EmailStatus,
    ErasureStatus,
    EventStatus,
    Frequency,
    PaymentStatus,
    PledgeStatus,
    RefundStatus,
)
from schemas.fields import EmailAddress, JsonBoolean, MinorUnits, QueryFlag, Timestamp
from schemas.pledge import PledgeQuery

FORMATS = ("csv", "jsonl", "xlsx")


class ExportQuery(PledgeQuery):
    """Filters of the export, and its file format. `tz` is also the time zone of the times in the file."""

    format = fields.String(load_default="csv", validate=validate.OneOf(FORMATS))
    bom = QueryFlag(
        load_default=True,
        metadata={
            "description": "Whether CSV begins with a byte order mark, by which Excel knows UTF-8. "
            "0 suits programs; other formats have none."
        },
    )


class PledgeItem(Schema):
    """A pledge as staff see it, without its supporter's address."""

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
    paused = fields.Boolean(
        required=True,
        attribute="is_paused",
        metadata={"description": "Whether no payment is taken for now, because the reader or staff paused it."},
    )
    resumes_at = Timestamp(
        required=True,
        allow_none=True,
        metadata={"description": "The end of the pause, some days before the next payment; null if it has none."},
    )


class PledgePage(Schema):
    """A page of pledges, newest first."""

    items = fields.List(fields.Nested(PledgeItem), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class PaymentTotal(Schema):
    """Payments in one currency, net of refunds and disputes."""

    currency = fields.String(required=True)
    payments = fields.Integer(required=True)
    amount = fields.Integer(required=True, metadata={"description": "Minor units."})


class LedgerTotal(Schema):
    """Ledger totals in one currency, in minor units; `disputed` is what disputes withdrew and did not return."""

    currency = fields.String(required=True)
    received = fields.Integer(required=True)
    refunded = fields.Integer(required=True)
    disputed = fields.Integer(required=True)


class BalanceTotalItem(Schema):
    """Totals of balance transactions, in minor units of the gateway balance's currency."""

    currency = fields.String(required=True)
    gross = fields.Integer(required=True)
    fees = fields.Integer(required=True)
    net = fields.Integer(required=True)


class Conversions(Schema):
    """Results of reminders."""

    pledges = fields.Integer(
        required=True, metadata={"description": "Completed or active pledges from a reminder's link."}
    )


class SummaryResponse(Schema):
    """Counts of pledges and reminders by status, and totals of money by currency."""

    pledges = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    reminders = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    paid = fields.List(fields.Nested(PaymentTotal), required=True)
    ledger = fields.List(fields.Nested(LedgerTotal), required=True)
    balances = fields.List(fields.Nested(BalanceTotalItem), required=True)
    reminders_due = fields.Integer(required=True)
    supporters_giving_twice = fields.Integer(
        required=True,
        metadata={"description": "Supporters with more than one active recurring pledge in one campaign."},
    )
    conversions = fields.Nested(Conversions, required=True)


class WebhookResponse(Schema):
    """The event is stored."""

    stored = fields.Boolean(required=True)


class EventQuery(StrictSchema):
    """Filters of the event list."""

    status = fields.Enum(EventStatus, by_value=True)


class EventItem(Schema):
    """A gateway event as staff see it: its identity and status, without its payload."""

    id = fields.UUID(required=True)
    gateway = fields.String(required=True)
    reference = fields.String(required=True)
    kind = fields.String(required=True)
    source = fields.String(
        required=True, metadata={"description": "webhook, or reconciler if no webhook delivered it."}
    )
    status = fields.Enum(EventStatus, by_value=True, required=True)
    reason = fields.String(required=True, allow_none=True)
    advice = fields.String(
        required=True, allow_none=True, metadata={"description": "What to do about a parked event."}
    )
    pledge = fields.UUID(required=True, allow_none=True, attribute="pledge_id")
    attempts = fields.Integer(required=True)
    occurred_at = Timestamp(required=True)
    received_at = Timestamp(required=True)
    applied_at = Timestamp(required=True, allow_none=True)


class AttachRequest(StrictSchema):
    """The pledge that an event belongs to."""

    pledge_id = fields.UUID(required=True)


class EventPage(Schema):
    """A page of events, newest first."""

    items = fields.List(fields.Nested(EventItem), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class RefundRequest(StrictSchema):
    """The amount to refund; all that has not been refunded yet, if left out."""

    amount = MinorUnits(metadata={"example": 200})


REFUND_DETAILS = {
    RefundStatus.REQUESTED: "Stripe does not answer right now. This refund will be made when Stripe answers.",
    RefundStatus.PENDING: "This refund is on its way to the reader. That can take some days.",
}


class RefundResponse(Schema):
    """A refund. One that is `requested` is not made yet, and can be withdrawn."""

    id = fields.UUID(required=True)
    payment = fields.UUID(required=True, attribute="payment_id")
    status = fields.Enum(RefundStatus, by_value=True, required=True)
    amount = fields.Integer(required=True, attribute="amount_minor")
    currency = fields.String(required=True)
    gateway_reference = fields.String(required=True, allow_none=True)
    reason = fields.String(
        required=True, allow_none=True, metadata={"description": "Why the refund failed or was not made."}
    )
    detail = fields.Function(
        lambda refund: REFUND_DETAILS.get(refund.status),
        metadata={"type": ["string", "null"], "description": "What happens next, if anything does."},
    )
    created_at = Timestamp(required=True)


class ReceiptSent(Schema):
    """A receipt that is in the outbox, and leaves within seconds."""

    payment = fields.UUID(required=True, attribute="payment_id")
    status = fields.Enum(EmailStatus, by_value=True, required=True)


class RefundQuery(StrictSchema):
    """Filters of the list of refunds."""

    status = fields.Enum(RefundStatus, by_value=True)


class RefundPage(Schema):
    """A page of refunds, newest first."""

    items = fields.List(fields.Nested(RefundResponse), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class DisputeItem(Schema):
    """A dispute of a payment, or an inquiry that precedes one."""

    status = fields.Enum(DisputeStatus, by_value=True, required=True)
    status_at = Timestamp(
        required=True, allow_none=True, metadata={"description": "Since when, by the gateway's time."}
    )
    reason = fields.String(
        required=True, allow_none=True, metadata={"description": "The gateway's reason, such as fraudulent."}
    )
    amount = fields.Integer(required=True, attribute="amount_minor")
    withheld = fields.Integer(
        required=True,
        attribute="withheld_minor",
        metadata={"description": "What was withdrawn and not returned; an inquiry withdraws nothing."},
    )
    currency = fields.String(required=True)
    gateway_reference = fields.String(required=True)
    opened_at = Timestamp(required=True)


class BalanceItem(Schema):
    """A movement of the gateway balance, in its currency; an outflow is negative."""

    type = fields.String(
        required=True,
        attribute="kind",
        metadata={"description": "The gateway's type, such as charge, refund, refund_failure or adjustment."},
    )
    occurred_at = Timestamp(required=True, allow_none=True, metadata={"description": "The time at the gateway."})
    gross = fields.Integer(required=True, attribute="gross_minor")
    fee = fields.Integer(required=True, attribute="fee_minor")
    net = fields.Integer(required=True, attribute="net_minor")
    currency = fields.String(required=True)
    gateway_reference = fields.String(required=True)
    charge = fields.String(required=True, allow_none=True, attribute="charge_reference")
    refund = fields.String(
        required=True,
        allow_none=True,
        attribute="refund_reference",
        metadata={"description": "The gateway's reference of the refund that it belongs to."},
    )
    dispute = fields.String(
        required=True,
        allow_none=True,
        attribute="dispute_reference",
        metadata={"description": "The gateway's reference of the dispute that it belongs to."},
    )


class PaymentItem(Schema):
    """A payment, succeeded or failed, with its refunds, disputes and balance transactions."""

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


class PledgeSchedule(Schema):
    """What the gateway plans for a recurring pledge. All are null for a one-time pledge."""

    renews_at = Timestamp(required=True, allow_none=True, metadata={"description": "The next payment."})
    cancel_at = Timestamp(required=True, allow_none=True, metadata={"description": "When it is set to end."})
    paused = fields.Boolean(required=True, attribute="is_paused")
    resumes_at = Timestamp(
        required=True, allow_none=True, metadata={"description": "The end of the pause, if it has one."}
    )
    ended_at = Timestamp(required=True, allow_none=True)


class PaymentList(Schema):
    """All payments of a pledge, oldest first, and what the gateway plans."""

    items = fields.List(fields.Nested(PaymentItem), required=True)
    schedule = fields.Nested(PledgeSchedule, required=True)


class ErasureRequest(StrictSchema):
    """The address of the supporter to erase, and whether recurring pledges are ended for it."""

    email = EmailAddress(required=True)
    end_recurring = JsonBoolean(
        load_default=True,
        metadata={"description": "If false, an active recurring pledge is a 409, and nothing is erased."},
    )


class ErasureResponse(Schema):
    """What an erasure did; `found` is false if no supporter has the address.

    `status` is `requested` while waiting for the payment provider, and the numbers are of what is done so far.
    """

    id = fields.UUID(required=True)
    status = fields.Enum(ErasureStatus, by_value=True, required=True)
    found = fields.Boolean(required=True)
    pledges = fields.Integer(required=True)
    reminders = fields.Integer(required=True)
    recurring_ended = fields.Integer(
        required=True,
        metadata={"description": "How many recurring pledges were cancelled at the payment provider."},
    )
    kept = fields.List(
        fields.String(), required=True, metadata={"description": "What is kept and why, in sentences for staff."}
    )
    message = fields.String(required=True, metadata={"description": "The result in a sentence for staff."})


class SupporterSearch(StrictSchema):
    """The address of a supporter, in a body so that no URL contains it."""

    email = EmailAddress(required=True)


class SupporterItem(Schema):
    """A supporter without the address: how many pledges and reminders refer to them, and which."""

    id = fields.UUID(required=True)
    created_at = Timestamp(required=True)
    email_changed_at = Timestamp(required=True, allow_none=True)
    pledges = fields.Integer(required=True)
    reminders = fields.Integer(required=True)
    pledge_ids = fields.List(fields.UUID(), required=True)
    reminder_ids = fields.List(fields.UUID(), required=True)


class SupporterList(Schema):
    """The supporters with an address; an empty list if there are none."""

    items = fields.List(fields.Nested(SupporterItem), required=True)


class AddressChangeRequest(StrictSchema):
    """A supporter's new address. With `merge`, another supporter with this address is merged into this one."""

    email = EmailAddress(required=True)
    merge = JsonBoolean(load_default=False)


class CustomerCounts(Schema):
    """How many of the payment provider's customers got the new address, have yet to, or were refused."""

    updated = fields.Integer(required=True)
    pending = fields.Integer(required=True)
    refused = fields.Integer(required=True)


class AddressChangeResponse(SupporterItem):
    """The supporter after the change, and what was changed for their customers at the payment provider."""

    merged = fields.Boolean(required=True)
    customers = fields.Nested(CustomerCounts, required=True)
