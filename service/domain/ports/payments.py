"""Ports of the payment gateway: what it can be asked to do, and where its events come from."""

import datetime
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas.enums import Frequency
from service.domain.money import Money
from service.domain.ports.balance import GatewayBalanceTransaction
from service.domain.ports.payment_events import PaymentEvent, RefundUpdated, SubscriptionUpdated


@dataclass(frozen=True, kw_only=True)
class CheckoutParams:
    """Parameters of a checkout; `pledge_id` is also the idempotency key.

    `money` is the total of each payment, fees included. The reader pays as `customer` if it is set, else as a new
    one. `campaign_id` identifies the campaign's product (see `save_product`). The gateway sends the reader to
    `success_url` after payment and to `cancel_url` without one. `installation_id` is stored beside the pledge's id
    at the gateway.
    """

    pledge_id: uuid.UUID
    campaign_id: uuid.UUID
    installation_id: uuid.UUID
    campaign_name: str
    frequency: Frequency
    money: Money
    lang: str
    success_url: str
    cancel_url: str
    customer: str | None = None


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A hosted page where the reader pays; `reference` is the gateway's id of it.

    `customer` is the one in the parameters, if the gateway accepted it.
    """

    reference: str
    url: str
    customer: str | None = None


@dataclass(frozen=True, kw_only=True)
class RefundParams:
    """Parameters of a refund of one payment, in full or in part; `refund_id` is also the idempotency key."""

    refund_id: uuid.UUID
    payment_reference: str
    money: Money


@dataclass(frozen=True, kw_only=True)
class GatewayRefunds:
    """The refunds of a payment, and the reference by which a further refund of it needs the fewest calls."""

    payment_reference: str
    refunds: tuple[RefundUpdated, ...]


@dataclass(frozen=True, kw_only=True)
class ChargeLimits:
    """The amounts that a gateway charges in one currency: multiples of `step_minor`, at least `smallest_minor`."""

    smallest_minor: int = 1
    step_minor: int = 1


NO_LIMITS = ChargeLimits()


@dataclass(frozen=True, kw_only=True)
class RawEvent:
    """An authenticated event as the gateway sent it. `payload` is its JSON and contains personal data."""

    reference: str
    kind: str
    occurred_at: datetime.datetime
    payload: str = field(repr=False)


class GatewayUnavailable(Exception):
    """The gateway did not answer or cannot serve now; the same call may be retried."""


class GatewayTimeout(GatewayUnavailable):
    """No answer arrived: the gateway may still be executing the call."""


class GatewayRejected(Exception):
    """The gateway rejected the request. The message gives the reason, without personal data."""


class GatewayAmountChanged(GatewayRejected):
    """The amount of a subscription was changed at the gateway meanwhile, to `money`."""

    def __init__(self, money: Money) -> None:
        super().__init__("The amount was changed at Stripe meanwhile. Change it again if yours is meant.")
        self.money = money


@dataclass(frozen=True, kw_only=True)
class GatewayInvoice:
    """An invoice as the gateway has it. `url` is its page there, which is personal."""

    is_open: bool
    url: str | None = field(default=None, repr=False)


class InvalidSignature(Exception):
    """The signature is missing, wrong or too old, or the event belongs to the other mode (test or live)."""


class InvalidEvent(Exception):
    """An event is malformed for its kind."""


class OwnerUnknown(Exception):
    """Nothing tells yet whether an event belongs to a pledge; an earlier event that is still to come may."""


@dataclass(frozen=True, kw_only=True)
class KnownOwner:
    """What is recorded here of what an event names: its pledge, if any, and whether its customer has a pledge."""

    pledge_id: uuid.UUID | None = None
    is_customer: bool = False


class KnownPledges(Protocol):
    """What this installation knows of pledges: asked before the gateway is."""

    @property
    def installation_id(self) -> uuid.UUID | None:
        """The id of this installation."""

    def find_owner(
        self, references: Collection[str], *, pledge_id: uuid.UUID | None, customer: str | None
    ) -> KnownOwner:
        """Look up the gateway's ids of subscriptions, checkouts and payments; else the pledge id, if there is one.

        Opens a transaction of its own.
        """

    def has_campaign(self, campaign_id: uuid.UUID) -> bool:
        """Whether a campaign of this installation has this id; opens a transaction of its own."""


class PaymentGateway(Protocol):
    """The payment provider.

    Every call may be repeated: a call that changes something is idempotent. No call is made inside a transaction.
    Every call may raise GatewayUnavailable; a call that changes something may also raise GatewayRejected.
    """

    name: str
    hosted_origins: tuple[str, ...]
    """The origins of the gateway's hosted pages, for the Content Security Policy of forms that redirect there."""

    def charge_limits(self, currency: str) -> ChargeLimits:
        """Return which amounts can be charged in a currency."""

    def problem(self) -> str | None:
        """Return why the gateway could not be used when it was called last, or None; it is not called."""

    def save_product(self, campaign_id: uuid.UUID, name: str) -> None:
        """Create the product that all payments for a campaign share, or give it this name."""

    def create_checkout(self, params: CheckoutParams) -> Checkout:
        """Create a checkout; the same parameters yield the same checkout."""

    def expire_checkout(self, checkout: str) -> None:
        """Close an open checkout, so that nobody can pay it; it is no error if it is complete or expired."""

    def cancel_subscription(self, subscription: str) -> None:
        """Cancel a subscription immediately; it is no error if it has ended already."""

    def erase_customer(self, customer: str) -> bool:
        """Remove the personal data of a customer, and delete it unless a payment or a subscription is open.

        Return whether the customer is deleted; it is no error if it was before.
        """

    def update_subscription_amount(
        self,
        subscription: str,
        money: Money,
        *,
        pledge_id: uuid.UUID,
        expected: Money | None = None,
        frequency: Frequency | None = None,
    ) -> None:
        """Change the amount from the next payment on, without proration of the current period.

        A `frequency` changes as well; the next payment stays on its day.

        Given the `expected` present amount, raise GatewayAmountChanged if somebody else has set another one.
        """

    def set_pause(self, subscription: str, *, resumes_at: datetime.datetime | None, key: str) -> None:
        """Take no payment until `resumes_at`, or end a pause if that is None; `key` makes it idempotent.

        The days of payment stay. The first one after `resumes_at` is paid again.
        """

    def create_payment_method_session(
        self, customer: str, subscriptions: Sequence[str], *, return_url: str, lang: str
    ) -> str:
        """Return the URL of a hosted page where the reader changes the payment method; it expires soon.

        The new one is used for all these subscriptions, which are the customer's.
        """

    def update_customer_email(self, customer: str, email: str, *, update_id: uuid.UUID) -> None:
        """Give a customer another email address; `update_id` is also the idempotency key."""

    def find_refunds(self, payment_reference: str) -> GatewayRefunds:
        """Return every refund of a payment, whoever made it, in its present status; may raise GatewayRejected."""

    def get_invoice(self, invoice: str) -> GatewayInvoice:
        """Return an invoice; may raise GatewayRejected."""

    def pay_invoice(self, invoice: str, *, key: str) -> None:
        """Charge an open invoice now with the customer's present payment method; `key` makes it idempotent.

        It is no error if it is paid already.

        Raises:
            GatewayRejected: the payment is declined, or the invoice is void.
        """

    def create_refund(self, params: RefundParams) -> RefundUpdated:
        """Create a refund; return it as the gateway has it, which may be pending or failed already."""

    def list_balance_transactions(
        self, since: datetime.datetime, until: datetime.datetime | None
    ) -> Iterator[list[GatewayBalanceTransaction]]:
        """Yield pages of the movements of the balance from `since` to before `until`, the newest first."""

    def find_invoices(self, intents: Mapping[str, datetime.datetime]) -> dict[str, str]:
        """Return the invoice that each intent paid, by the intent; `intents` says when each was charged."""


class EventSource(Protocol):
    """The events of a payment gateway."""

    name: str

    def authenticate(self, payload: bytes, signature: str, *, now: datetime.datetime) -> RawEvent:
        """Verify a webhook and return its event.

        Raises:
            InvalidSignature: the webhook is not authentic.
        """

    def parse_event(
        self, payload: str, known: KnownPledges = ..., *, may_wait: bool = False
    ) -> list[PaymentEvent]:
        """Translate an event; the list is empty if the event does not belong to a pledge of this installation.

        The call may look something up at the gateway, so it must not be made inside a transaction.

        Raises:
            OwnerUnknown: only with `may_wait`: ask again later.
            GatewayUnavailable: try again later.
            InvalidEvent: an operator must investigate; the message gives the reason.
        """

    def get_subscription(self, subscription: str, *, occurred_at: datetime.datetime) -> SubscriptionUpdated | None:
        """Return the present state of a subscription, dated `occurred_at`; None if the gateway does not know it.

        Raises:
            GatewayUnavailable: try again later.
        """

    def list_events_since(self, since: datetime.datetime) -> Iterator[RawEvent]:
        """Yield the events from `since` on that webhooks would deliver, in any order.

        Raises:
            GatewayUnavailable: try again later.
        """
