"""What a gateway tells us, in our own words: each a fact that is true for good, in whatever order it comes.

`pledge_id` is what we gave the gateway with the checkout; where an event does not bear it, the gateway's own
references lead to the pledge or the payment.
"""

import datetime
import uuid
from dataclasses import dataclass, field

from schemas.vocabulary import DisputeStatus
from service.domain.money.amounts import Money


@dataclass(frozen=True, kw_only=True)
class CheckoutDone:
    """A reader went through a checkout, whether or not the money has come yet."""

    pledge_id: uuid.UUID
    at: datetime.datetime
    email: str | None = field(default=None, repr=False)
    customer: str | None = None
    subscription: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckoutClosed:
    """A checkout ended without payment; its page takes none any more."""

    pledge_id: uuid.UUID
    at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class Paid:
    """Money came. `reference` names the payment; `renews_at` is the end of the time that it pays for."""

    reference: str
    money: Money
    at: datetime.datetime
    pledge_id: uuid.UUID | None = None
    subscription: str | None = None
    customer: str | None = None
    renews_at: datetime.datetime | None = None


@dataclass(frozen=True, kw_only=True)
class NotPaid:
    """A try to take money failed. `reference` names the try, `bill` what it was for.

    `number` counts the tries for this bill; `next_try_at` is when the gateway tries again, None if it does not.
    """

    reference: str
    bill: str
    money: Money
    at: datetime.datetime
    number: int = 1
    next_try_at: datetime.datetime | None = None
    pledge_id: uuid.UUID | None = None
    subscription: str | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a subscription stands. `money` is what it takes each time; one that `ended` takes nothing any more."""

    subscription: str
    at: datetime.datetime
    is_past_due: bool = False
    is_started: bool = False
    ended: bool = False
    money: Money | None = None
    renews_at: datetime.datetime | None = None
    pledge_id: uuid.UUID | None = None
    customer: str | None = None


@dataclass(frozen=True, kw_only=True)
class RenewalAhead:
    """A subscription will take money soon."""

    subscription: str
    renews_at: datetime.datetime
    pledge_id: uuid.UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Refunded:
    """Money of a payment went back. `references` are the names that the payment may be known by.

    `refund_id` is our own name for it, if we asked for it. One that `failed` did not reach the reader after all.
    """

    references: tuple[str, ...]
    refund: str
    money: Money
    at: datetime.datetime
    refund_id: uuid.UUID | None = None
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Disputed:
    """A card's holder denies a payment, or the bank has decided about it; `references` as in Refunded."""

    references: tuple[str, ...]
    dispute: str
    status: DisputeStatus
    money: Money
    at: datetime.datetime


News = CheckoutDone | CheckoutClosed | Paid | NotPaid | Standing | RenewalAhead | Refunded | Disputed
