"""What the domain asks of whatever takes the money."""

import datetime
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from schemas.enums import Frequency
from service.domain.money import Money
from service.domain.ports.payment_events import PaymentEvent


@dataclass(frozen=True, kw_only=True)
class CheckoutParams:
    """What a gateway needs to know to take a pledge; `pledge_id` is also its idempotency key.

    `money` is all that is charged, each time. `cancel_url` is where a reader goes who does not pay; `success_url`
    where
    one arrives who did.
    """

    pledge_id: uuid.UUID
    campaign_name: str
    frequency: Frequency
    money: Money
    lang: str
    success_url: str
    cancel_url: str


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A page of the gateway's where the reader pays, and the gateway's own name for it."""

    reference: str
    url: str


@dataclass(frozen=True, kw_only=True)
class RefundParams:
    """Money of one payment that is to go back; `refund_id` is also its idempotency key."""

    refund_id: uuid.UUID
    payment_reference: str
    money: Money


@dataclass(frozen=True, kw_only=True)
class GatewayBalanceTransaction:
    """What one movement did to the balance at the gateway, in the currency that the balance is kept in."""

    reference: str
    gross_minor: int
    fee_minor: int
    net_minor: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class ChargeLimits:
    """What a gateway can charge in one currency: at least `smallest_minor`, in whole multiples of `step_minor`."""

    smallest_minor: int = 1
    step_minor: int = 1


NO_LIMITS = ChargeLimits()


class GatewayUnavailable(Exception):
    """The gateway gave no answer, or said that it cannot serve now; the same call may be made again."""


class GatewayRejected(Exception):
    """The gateway understood and said no. The message says why, without anything personal."""


class PaymentGateway(Protocol):
    """The thing that takes the money.

    Every call may be repeated: it carries a key that makes the second one yield what the first did. None is made
    while a transaction is open. All raise GatewayUnavailable, and those that order something GatewayRejected.
    """

    name: str
    hosted_origins: tuple[str, ...]
    """Where its own pages are, as origins, for the policy of a form that leads there."""

    def charge_limits(self, currency: str) -> ChargeLimits:
        """Return what can be charged in a currency."""

    def create_checkout(self, order: CheckoutParams) -> Checkout:
        """Open a checkout; the same order again yields the same checkout."""

    def cancel_subscription(self, subscription: str) -> None:
        """Take no more money for this subscription, from now on; one that has ended stays so."""

    def update_subscription_amount(self, subscription: str, money: Money, *, pledge_id: uuid.UUID) -> None:
        """Take this amount from the next time on; nothing is charged or given back for the time that is paid."""

    def create_payment_method_session(self, customer: str, subscription: str, *, back_url: str, lang: str) -> str:
        """Return a page of the gateway's where the reader changes how this is paid; it is good for a while."""

    def create_refund(self, order: RefundParams) -> str:
        """Send money back; return the gateway's own reference for it."""

    def get_balance_transaction(self, payment_reference: str) -> GatewayBalanceTransaction | None:
        """Return what a payment did to the balance, or None if that is not known yet."""


@dataclass(frozen=True, kw_only=True)
class RawEvent:
    """One event as the gateway wrote it, known to be its own. `payload` is its JSON and names readers."""

    reference: str
    kind: str
    occurred_at: datetime.datetime
    payload: str = field(repr=False)


class InvalidSignature(Exception):
    """The signature is missing, wrong or too old, or the event belongs to another mode than our key."""


class EventSource(Protocol):
    """The part of a gateway that tells what happened there."""

    name: str

    def authenticate(self, payload: bytes, signature: str, *, now: datetime.datetime) -> RawEvent:
        """Return what a webhook brought.

        Raises:
            InvalidSignature: it is not to be believed.
        """

    def parse_event(self, payload: str) -> list[PaymentEvent]:
        """Return what an event says, in our words; nothing if it concerns nothing of ours.

        What it leaves out is looked up, so that no transaction may be open.

        Raises:
            GatewayUnavailable: try again later.
            InvalidEvent: somebody must look; the message says why.
        """

    def list_events_since(self, since: datetime.datetime) -> Iterator[RawEvent]:
        """Yield what happened from then on, in any order, of the kinds that we are told of.

        Raises:
            GatewayUnavailable: try again later.
        """


class InvalidEvent(Exception):
    """An event is not in the form that its kind has."""
