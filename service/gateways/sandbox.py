"""The gateway of demonstrations and tests: a checkout page of our own, where no card is taken.

The page (`service.pages.sandbox_checkout`) reports back through the same domain calls as a real processor's
events.
"""

import uuid

from service.db.keyring import Keyring
from service.domain.money import Money
from service.domain.payments.sandbox import checkout_token
from service.domain.ports import (
    ChargeLimits,
    Checkout,
    CheckoutParams,
    GatewayBalanceTransaction,
    GatewayRejected,
    RefundParams,
)


class SandboxGateway:
    """Takes pledges without taking money."""

    name = "sandbox"
    hosted_origins: tuple[str, ...] = ()

    def __init__(self, keyring: Keyring, public_url: str) -> None:
        self._keyring = keyring
        self._public_url = public_url

    def charge_limits(self, currency: str) -> ChargeLimits:
        """Take any amount."""
        return ChargeLimits()

    def create_checkout(self, order: CheckoutParams) -> Checkout:
        """Return the page for this pledge; its signed link is the same each time."""
        token = checkout_token(self._keyring, order.pledge_id)
        return Checkout(reference=f"sandbox_{order.pledge_id}", url=f"{self._public_url}/sandbox/checkout/{token}")

    def cancel_subscription(self, subscription: str) -> None:
        """There is nothing to end: no card is charged again."""

    def update_subscription_amount(self, subscription: str, money: Money, *, pledge_id: uuid.UUID) -> None:
        """There is nothing to change: no card is charged again."""

    def create_payment_method_session(self, customer: str, subscription: str, *, back_url: str, lang: str) -> str:
        """Refuse: there is no card."""
        raise GatewayRejected("No card was taken in this test, so there is none to change.")

    def create_refund(self, order: RefundParams) -> str:
        """Return the name of money that goes back as it came: not at all."""
        return f"sandbox_refund_{order.refund_id}"

    def get_balance_transaction(self, payment_reference: str) -> GatewayBalanceTransaction | None:
        """Keep no balance."""
        return None
