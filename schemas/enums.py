"""Enums that every layer uses, so this module imports only the standard library.

The values are stored in the database and sent in the API; they must not change.
"""

from enum import StrEnum


class Frequency(StrEnum):
    """How often a pledge is charged."""

    ONCE = "once"
    MONTHLY = "monthly"
    ANNUAL = "annual"


class PledgeStatus(StrEnum):
    """The status of a pledge. `processing`: the checkout is complete and the money is on its way (bank debits)."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUNDED = "refunded"


class PaymentStatus(StrEnum):
    """The status of a payment."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUNDED = "refunded"
    PARTIALLY_REFUNDED = "partially_refunded"
    DISPUTED = "disputed"


class RefundStatus(StrEnum):
    """The status of a refund.

    A `requested` refund is not at the gateway yet, and a `withdrawn` one never was. A `pending` one has not
    reached the reader, who may have to act first. A `failed` or `cancelled` one did not reach the reader.
    """

    REQUESTED = "requested"
    WITHDRAWN = "withdrawn"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"
    FAILED = "failed"


class DisputeStatus(StrEnum):
    """The status of a dispute, which the cardholder's bank decides.

    An `inquiry` withdraws no money; it ends as `closed`, or goes on as a dispute. A `prevented` one was settled
    before it withdrew any.
    """

    INQUIRY = "inquiry"
    OPEN = "open"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"
    CLOSED = "closed"


class EventStatus(StrEnum):
    """The processing status of a gateway event.

    A `waiting` event arrived before one that it depends on and is retried. A `parked` event is a dead letter: it
    is not retried until staff ask for it.
    """

    RECEIVED = "received"
    APPLIED = "applied"
    IGNORED = "ignored"
    WAITING = "waiting"
    PARKED = "parked"


class EmailKind(StrEnum):
    """The purpose of an email to a reader or, for an alert, to staff."""

    REMINDER = "reminder"
    REMINDER_CONFIRMATION = "reminder_confirmation"
    RECEIPT = "receipt"
    PAYMENT_FAILED = "missed"
    RENEWAL = "renewal"
    CANCELLED = "ended"
    REFUND = "refund"
    MONTHLY_YEARLY = "monthly_yearly"
    YEARLY_RECEIPT = "yearly_receipt"
    PAUSED = "paused"
    RESUMING = "resuming"
    PAUSE_MISSED = "pause_missed"
    RESUMED = "resumed"
    CHANGED = "changed"
    SIGN_IN = "sign_in"
    EMAIL_CHANGE = "email_change"
    EMAIL_CHANGED = "email_changed"
    ERASURE = "erasure"
    ALERT = "alert"


class EmailStatus(StrEnum):
    """The status of one email. A `cancelled` one is not wanted any more, such as that of a cancelled reminder."""

    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    FAILED = "failed"


class ReminderStatus(StrEnum):
    UNCONFIRMED = "unconfirmed"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    FAILED = "failed"


class DeliveryOutcome(StrEnum):
    """The outcome of one attempt to send an email."""

    SENDING = "sending"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REJECTED = "rejected"
    NOT_ATTEMPTED = "not_attempted"


class SuppressionReason(StrEnum):
    """Why an address gets no email."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    ERASURE = "erasure"


class ErasureStatus(StrEnum):
    """Whether an erasure has been carried out, here and at the payment gateway."""

    REQUESTED = "requested"
    COMPLETED = "completed"


class JobOutcome(StrEnum):
    """The outcome of a job run."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CRASHED = "crashed"


class Scope(StrEnum):
    """What a staff token allows."""

    READ = "read"
    EXPORT = "export"
    MANAGE = "manage"


class WaitingPolicy(StrEnum):
    """What becomes of waiting reminders that the campaign does not offer any more.

    With `keep` each is still sent once, on its date, and does not repeat. With `cancel` none is sent.
    """

    KEEP = "keep"
    CANCEL = "cancel"
