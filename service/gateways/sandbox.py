"""The sandbox payment gateway, for demonstrations and tests: our own checkout page, which takes no card.

The page (`service.pages.sandbox_checkout`) reports its outcome through the same domain calls as a real gateway's
events.
"""

import datetime
import uuid
from collections.abc import Iterator, Mapping, Sequence

from schemas.enums import Frequency
from service.db.keyring import Keyring
from service.domain.money import Money
from service.domain.payments.sandbox import checkout_token
from service.domain.ports import (
    ChargeLimits,
    Checkout,
    CheckoutParams,
    GatewayBalanceTransaction,
    GatewayInvoice,
    GatewayRefunds,
    GatewayRejected,
    RefundParams,
)
from service.domain.ports.payment_events import RefundUpdated


class SandboxGateway:
    """Implements `service.domain.ports.PaymentGateway` without moving money."""

    name = "sandbox"
    hosted_origins: tuple[str, ...] = ()

    def __init__(self, keyring: Keyring, public_url: str) -> None:
        self._keyring = keyring
        self._public_url = public_url

    def problem(self) -> str | None:
        """Return None: the sandbox is always there."""
        return None

    def charge_limits(self, currency: str) -> ChargeLimits:
        """Return no limits."""
        return ChargeLimits()

    def save_product(self, campaign_id: uuid.UUID, name: str) -> None:
        """Do nothing: the sandbox page shows the campaign's own name."""

    def create_checkout(self, params: CheckoutParams) -> Checkout:
        """Return the sandbox page of this pledge; its signed link is the same each time."""
        token = checkout_token(self._keyring, params.pledge_id)
        url = f"{self._public_url}/sandbox/checkout/{token}"
        return Checkout(reference=f"sandbox_{params.pledge_id}", url=url)

    def expire_checkout(self, checkout: str) -> None:
        """Do nothing: the page takes no payment for a pledge that is expired."""

    def cancel_subscription(self, subscription: str) -> None:
        """Do nothing: no card is charged again."""

    def erase_customer(self, customer: str) -> bool:
        """Return True: the sandbox has no customers."""
        return True

    def update_subscription_amount(
        self,
        subscription: str,
        money: Money,
        *,
        pledge_id: uuid.UUID,
        expected: Money | None = None,
        frequency: Frequency | None = None,
    ) -> None:
        """Do nothing: no card is charged again."""

    def set_pause(self, subscription: str, *, resumes_at: datetime.datetime | None, key: str) -> None:
        """Do nothing: no card is charged again."""

    def create_payment_method_session(
        self, customer: str, subscriptions: Sequence[str], *, return_url: str, lang: str
    ) -> str:
        """Raise GatewayRejected: there is no card."""
        raise GatewayRejected("No card was taken in this test, so there is none to change.")

    def update_customer_email(self, customer: str, email: str, *, update_id: uuid.UUID) -> None:
        """Do nothing: the sandbox has no customers."""

    def find_refunds(self, payment_reference: str) -> GatewayRefunds:
        """Return none: the sandbox keeps no refunds, and nobody else makes any."""
        return GatewayRefunds(payment_reference=payment_reference, refunds=())

    def get_invoice(self, invoice: str) -> GatewayInvoice:
        """Raise GatewayRejected: the sandbox has no invoices."""
        raise GatewayRejected("The sandbox has no invoices.")

    def pay_invoice(self, invoice: str, *, key: str) -> None:
        """Raise GatewayRejected: the sandbox has no invoices."""
        raise GatewayRejected("The sandbox has no invoices.")

    def create_refund(self, params: RefundParams) -> RefundUpdated:
        """Return a refund that succeeded; no money moves."""
        return RefundUpdated(
            references=(params.payment_reference,),
            refund=f"sandbox_refund_{params.refund_id}",
            money=params.money,
            occurred_at=datetime.datetime.now(datetime.UTC),
            refund_id=params.refund_id,
        )

    def list_balance_transactions(
        self, since: datetime.datetime, until: datetime.datetime | None
    ) -> Iterator[list[GatewayBalanceTransaction]]:
        """Yield nothing: the sandbox has no balance."""
        return iter(())

    def find_invoices(self, intents: Mapping[str, datetime.datetime]) -> dict[str, str]:
        """Return nothing: the sandbox has no invoices."""
        return {}
