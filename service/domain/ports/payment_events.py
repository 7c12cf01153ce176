"""Payment events: what happened at a gateway, independent of which gateway it is.

Each event states a fact that stays true, so events may arrive in any order and repeatedly. `pledge_id` comes from
the metadata of the checkout. Where an event lacks it, the gateway's references identify the pledge or the payment.
`occurred_at` is the gateway's time.
"""

import datetime
import uuid
from dataclasses import dataclass, field

from schemas.enums import DisputeStatus, Frequency, RefundStatus
from service.domain.money import Money
from service.domain.ports.balance import GatewayBalanceTransaction


@dataclass(frozen=True, kw_only=True)
class CheckoutCompleted:
    """A reader completed a checkout; a bank debit takes days to be paid after that.

    `completed_at` is when they did; None if the event is about the debit, which comes later.
    """

    pledge_id: uuid.UUID
    occurred_at: datetime.datetime
    completed_at: datetime.datetime | None = None
    email: str | None = field(default=None, repr=False)
    customer: str | None = None
    subscription: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckoutExpired:
    """A checkout ended without payment and accepts none any more."""

    pledge_id: uuid.UUID
    occurred_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class PaymentBounced:
    """The bank did not make the payment of a completed checkout."""

    pledge_id: uuid.UUID
    occurred_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class PaymentSucceeded:
    """A payment succeeded. `reference` is its id at the gateway; `renews_at` is the end of the paid period.

    With `is_provisional` the money is what was asked for, and another event says what was paid.
    """

    reference: str
    money: Money
    occurred_at: datetime.datetime
    pledge_id: uuid.UUID | None = None
    subscription: str | None = None
    customer: str | None = None
    renews_at: datetime.datetime | None = None
    is_provisional: bool = False


@dataclass(frozen=True, kw_only=True)
class PaymentFailed:
    """A payment attempt failed. `reference` identifies the attempt, `invoice` what it was to pay.

    `attempt` counts the attempts for this invoice from 1. `next_attempt_at` is when the gateway retries, or None
    if it does not.
    """

    reference: str
    invoice: str
    money: Money
    occurred_at: datetime.datetime
    attempt: int = 1
    next_attempt_at: datetime.datetime | None = None
    pledge_id: uuid.UUID | None = None
    subscription: str | None = None
    invoice_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class PaymentActionRequired:
    """The reader's bank wants the payment of an invoice confirmed, on the gateway's page at `invoice_url`.

    The page is personal. `attempt` is as in `PaymentFailed`, which may report the same attempt.
    """

    invoice: str
    occurred_at: datetime.datetime
    subscription: str
    attempt: int = 1
    pledge_id: uuid.UUID | None = None
    invoice_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class InvoiceSettled:
    """An invoice is settled without a payment at the gateway: staff marked it as paid, or it was of zero."""

    invoice: str
    occurred_at: datetime.datetime
    subscription: str
    pledge_id: uuid.UUID | None = None
    customer: str | None = None
    renews_at: datetime.datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PaymentMethodChanged:
    """A customer saved a new default payment method at the gateway."""

    customer: str
    occurred_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class SubscriptionUpdated:
    """The current state of a subscription. `money` is the amount of each payment; `ended` is final.

    `cancel_at` is when it will end, and `resumes_at` until when its payments are paused. `state` is a digest of
    the amount, the end and the pause, and `previous_state` of those before the change: by these, changes of one
    second are ordered. With `is_current` the state was looked up now, after every change of that second.
    """

    subscription: str
    occurred_at: datetime.datetime
    is_past_due: bool = False
    is_started: bool = False
    ended: bool = False
    money: Money | None = None
    renews_at: datetime.datetime | None = None
    cancel_at: datetime.datetime | None = None
    frequency: Frequency | None = None
    is_paused: bool = False
    resumes_at: datetime.datetime | None = None
    state: str | None = None
    previous_state: str | None = None
    is_current: bool = False
    pledge_id: uuid.UUID | None = None
    customer: str | None = None


@dataclass(frozen=True, kw_only=True)
class RenewalUpcoming:
    """A subscription renews soon."""

    subscription: str
    renews_at: datetime.datetime
    occurred_at: datetime.datetime
    pledge_id: uuid.UUID | None = None


@dataclass(frozen=True, kw_only=True)
class RefundUpdated:
    """A refund of a payment, as the gateway has it.

    `references` are the ids that the ledger may know the payment by. `refund` is the gateway's id of the refund;
    `refund_id` is ours, if we requested it. `occurred_at` is when the refund was created. `ended_at` is when it
    was reported as failed or cancelled, if that is known, and `reason` says why.
    """

    references: tuple[str, ...]
    refund: str
    money: Money
    occurred_at: datetime.datetime
    refund_id: uuid.UUID | None = None
    status: RefundStatus = RefundStatus.SUCCEEDED
    ended_at: datetime.datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class RefundedTotalUpdated:
    """How much of a charge is refunded in total, where the gateway does not list its refunds.

    `references` as in `RefundUpdated`.
    """

    references: tuple[str, ...]
    charge: str
    money: Money
    occurred_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class DisputeUpdated:
    """The state of a dispute of a payment at `occurred_at`; `references` as in `RefundUpdated`.

    `reason` is the gateway's word for the cardholder's reason. `balance_transactions` are those that the gateway
    names with the dispute; there may be more.
    """

    references: tuple[str, ...]
    dispute: str
    status: DisputeStatus
    money: Money
    occurred_at: datetime.datetime
    reason: str | None = None
    balance_transactions: tuple[GatewayBalanceTransaction, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FraudWarned:
    """The card's issuer suspects fraud in a payment, before any dispute; `references` as in `RefundUpdated`."""

    references: tuple[str, ...]
    warning: str
    kind: str
    occurred_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class CustomerUpdated:
    """A customer got another email address at the gateway, for example on its pages or from staff there."""

    customer: str
    email: str = field(repr=False)
    occurred_at: datetime.datetime
    previous_email: str | None = field(default=None, repr=False)


PaymentEvent = (
    CheckoutCompleted
    | CheckoutExpired
    | PaymentBounced
    | PaymentSucceeded
    | PaymentFailed
    | PaymentActionRequired
    | InvoiceSettled
    | PaymentMethodChanged
    | SubscriptionUpdated
    | RenewalUpcoming
    | RefundUpdated
    | RefundedTotalUpdated
    | DisputeUpdated
    | FraudWarned
    | CustomerUpdated
)
