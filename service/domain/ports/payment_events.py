"""What a gateway tells us, in our own words: each a fact that is true for good, in whatever order it comes.

`pledge_id` is what we gave the gateway with the checkout; where an event does not bear it, the gateway's own
references lead to the pledge or the payment.
"""

import datetime
import uuid
from dataclasses import dataclass, field

from schemas.enums import DisputeStatus
from service.domain.money import Money


@dataclass(frozen=True, kw_only=True)
class CheckoutCompleted:
    """A reader went through a checkout, whether or not the money has come yet."""

    pledge_id: uuid.UUID
    occurred_at: datetime.datetime
    email: str | None = field(default=None, repr=False)
    customer: str | None = None
    subscription: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckoutExpired:
    """A checkout ended without payment; its page takes none any more."""

    pledge_id: uuid.UUID
    occurred_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class PaymentSucceeded:
    """Money came. `reference` names the payment; `renews_at` is the end of the time that it pays for."""

    reference: str
    money: Money
    occurred_at: datetime.datetime
    pledge_id: uuid.UUID | None = None
    subscription: str | None = None
    customer: str | None = None
    renews_at: datetime.datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PaymentFailed:
    """A try to take money failed. `reference` names the try, `invoice` what it was for.

    `attempt` counts the tries for this bill; `next_attempt_at` is when the gateway tries again, None if it does
    not.
    """

    reference: str
    invoice: str
    money: Money
    occurred_at: datetime.datetime
    attempt: int = 1
    next_attempt_at: datetime.datetime | None = None
    pledge_id: uuid.UUID | None = None
    subscription: str | None = None


@dataclass(frozen=True, kw_only=True)
class SubscriptionUpdated:
    """Where a subscription stands. `money` is what it takes each time; one that `ended` takes nothing any more."""

    subscription: str
    occurred_at: datetime.datetime
    is_past_due: bool = False
    is_started: bool = False
    ended: bool = False
    money: Money | None = None
    renews_at: datetime.datetime | None = None
    pledge_id: uuid.UUID | None = None
    customer: str | None = None


@dataclass(frozen=True, kw_only=True)
class RenewalUpcoming:
    """A subscription will take money soon."""

    subscription: str
    renews_at: datetime.datetime
    pledge_id: uuid.UUID | None = None


@dataclass(frozen=True, kw_only=True)
class RefundUpdated:
    """Money of a payment went back. `references` are the names that the payment may be known by.

    `refund_id` is our own name for it, if we asked for it. One that `failed` did not reach the reader after all.
    """

    references: tuple[str, ...]
    refund: str
    money: Money
    occurred_at: datetime.datetime
    refund_id: uuid.UUID | None = None
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class DisputeUpdated:
    """A card's holder denies a payment, or the bank has decided about it; `references` as in Refunded."""

    references: tuple[str, ...]
    dispute: str
    status: DisputeStatus
    money: Money
    occurred_at: datetime.datetime


PaymentEvent = (
    CheckoutCompleted
    | CheckoutExpired
    | PaymentSucceeded
    | PaymentFailed
    | SubscriptionUpdated
    | RenewalUpcoming
    | RefundUpdated
    | DisputeUpdated
)
