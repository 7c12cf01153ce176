"""The words of the house as plain enums; every layer may use them, so this file needs only Python itself."""

from enum import StrEnum


class Frequency(StrEnum):
    """How often a reader gives."""

    ONCE = "once"
    MONTHLY = "monthly"
    ANNUAL = "annual"


class PledgeStatus(StrEnum):
    """Where a pledge stands."""

    PENDING = "pending"
    COMPLETED = "completed"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUNDED = "refunded"


class PaymentStatus(StrEnum):
    """What became of money that was to move for a pledge."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUNDED = "refunded"
    PARTIALLY_REFUNDED = "partially_refunded"
    DISPUTED = "disputed"


class RefundStatus(StrEnum):
    """How far money is on its way back to a reader."""

    REQUESTED = "requested"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class DisputeStatus(StrEnum):
    """How a reader's bank decided about a payment that its holder denies."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


class EventStatus(StrEnum):
    """What became of an event that a gateway told us.

    One that is `waiting` came before what it stands on and is tried again; one that is `parked` needs somebody.
    """

    RECEIVED = "received"
    APPLIED = "applied"
    IGNORED = "ignored"
    WAITING = "waiting"
    PARKED = "parked"


class NotificationKind(StrEnum):
    """What a mail about a pledge, or to its reader, is for."""

    RECEIPT = "receipt"
    PAYMENT_FAILED = "missed"
    RENEWAL = "renewal"
    CANCELLED = "ended"
    SIGN_IN = "sign_in"


class NotificationStatus(StrEnum):
    """Where such a mail stands."""

    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    SKIPPED = "skipped"
    FAILED = "failed"


class ReminderStatus(StrEnum):
    """Where a reminder stands."""

    UNCONFIRMED = "unconfirmed"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    FAILED = "failed"


class DeliveryOutcome(StrEnum):
    """What became of a mail that was about to leave."""

    SENDING = "sending"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REJECTED = "rejected"
    NOT_ATTEMPTED = "not_attempted"


class SuppressionReason(StrEnum):
    """Why an address gets no more mail."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    ERASURE = "erasure"


class JobOutcome(StrEnum):
    """How a run of a job ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CRASHED = "crashed"


class Scope(StrEnum):
    """What a staff token may do."""

    READ = "read"
    EXPORT = "export"
    MANAGE = "manage"
