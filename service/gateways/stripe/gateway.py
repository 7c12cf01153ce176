"""The gateway that moves real money: a key of our own on what each order of the domain becomes at Stripe."""

import uuid
from urllib.parse import urlsplit

from service.domain.money.amounts import Money
from service.domain.ports import ChargeLimits, Checkout, CheckoutParams, GatewayBalanceTransaction, RefundParams
from service.gateways.stripe import balance, checkout, orders, units
from service.gateways.stripe.client import StripeApi
from service.settings import StripeSettings

PAGES = ("https://checkout.stripe.com", "https://billing.stripe.com")


class StripeGateway:
    """Takes pledges by Stripe Checkout; see `service.domain.ports.Gateway` for what each method promises."""

    name = "stripe"

    def __init__(self, api: StripeApi, settings: StripeSettings) -> None:
        self._api = api
        self.pages: tuple[str, ...] = PAGES if settings.api_base is None else (*PAGES, _origin(settings.api_base))

    def limits(self, currency: str) -> ChargeLimits:
        """Return Stripe's own smallest charge and the steps that it charges in."""
        return units.limits(currency)

    def start_checkout(self, order: CheckoutParams) -> Checkout:
        """Open a Checkout Session."""
        return checkout.start_checkout(self._api, order)

    def end_recurring(self, subscription: str) -> None:
        """Cancel a subscription at once."""
        orders.end_recurring(self._api, subscription)

    def change_amount(self, subscription: str, money: Money, *, pledge_id: uuid.UUID) -> None:
        """Put another price into a subscription, without proration."""
        orders.change_amount(self._api, subscription, money, pledge_id=pledge_id)

    def card_page(self, customer: str, subscription: str, *, back_url: str, lang: str) -> str:
        """Open the Billing Portal where a card is changed."""
        return orders.card_page(self._api, customer, subscription, back_url=back_url, lang=lang)

    def refund(self, order: RefundParams) -> str:
        """Make a refund."""
        return orders.refund(self._api, order)

    def find_balance(self, payment_reference: str) -> GatewayBalanceTransaction | None:
        """Look up a payment's balance transaction."""
        return balance.find_balance(self._api, payment_reference)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
