"""The gateway that moves real money: a key of our own on what each order of the domain becomes at Stripe."""

import uuid
from urllib.parse import urlsplit

from service.domain.money import Money
from service.domain.ports import ChargeLimits, Checkout, CheckoutParams, GatewayBalanceTransaction, RefundParams
from service.gateways.stripe import checkout
from service.gateways.stripe import currencies as units
from service.gateways.stripe import payments as balance
from service.gateways.stripe import subscriptions as orders
from service.gateways.stripe.client import StripeApiClient
from service.settings import StripeSettings

HOSTED_ORIGINS = ("https://checkout.stripe.com", "https://billing.stripe.com")


class StripeGateway:
    """Takes pledges by Stripe Checkout; see `service.domain.ports.Gateway` for what each method promises."""

    name = "stripe"

    def __init__(self, api: StripeApiClient, settings: StripeSettings) -> None:
        self._api = api
        self.hosted_origins: tuple[str, ...] = (
            HOSTED_ORIGINS if settings.api_base is None else (*HOSTED_ORIGINS, _origin(settings.api_base))
        )

    def charge_limits(self, currency: str) -> ChargeLimits:
        """Return Stripe's own smallest charge and the steps that it charges in."""
        return units.charge_limits(currency)

    def create_checkout(self, order: CheckoutParams) -> Checkout:
        """Open a Checkout Session."""
        return checkout.create_checkout(self._api, order)

    def cancel_subscription(self, subscription: str) -> None:
        """Cancel a subscription at once."""
        orders.cancel_subscription(self._api, subscription)

    def update_subscription_amount(self, subscription: str, money: Money, *, pledge_id: uuid.UUID) -> None:
        """Put another price into a subscription, without proration."""
        orders.update_subscription_amount(self._api, subscription, money, pledge_id=pledge_id)

    def create_payment_method_session(self, customer: str, subscription: str, *, back_url: str, lang: str) -> str:
        """Open the Billing Portal where a card is changed."""
        return orders.create_portal_session(self._api, customer, subscription, back_url=back_url, lang=lang)

    def create_refund(self, order: RefundParams) -> str:
        """Make a refund."""
        return orders.create_refund(self._api, order)

    def get_balance_transaction(self, payment_reference: str) -> GatewayBalanceTransaction | None:
        """Look up a payment's balance transaction."""
        return balance.get_balance_transaction(self._api, payment_reference)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
