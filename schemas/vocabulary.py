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

    LEAVING = "leaving"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Suppressed(StrEnum):
    """Why an address gets no more mail."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    ERASURE = "erasure"


class JobOutcome(StrEnum):
    """How a run of a job ended."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    VANISHED = "vanished"


class Scope(StrEnum):
    """What a staff token may do."""

    READ = "read"
    EXPORT = "export"
    MANAGE = "manage"
