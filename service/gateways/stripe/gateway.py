"""The payment gateway of the domain, implemented with Stripe."""

import datetime
import uuid
from collections.abc import Iterator, Mapping, Sequence

from schemas.enums import Frequency
from service.domain.money import Money
from service.domain.ports import (
    ChargeLimits,
    Checkout,
    CheckoutParams,
    GatewayBalanceTransaction,
    GatewayInvoice,
    GatewayRefunds,
    RefundParams,
)
from service.domain.ports.payment_events import RefundUpdated
from service.domain.urls import origin_of
from service.gateways.stripe import (
    balance,
    checkout,
    currencies,
    customer_erasure,
    customers,
    products,
    refunds,
    subscriptions,
)
from service.gateways.stripe.card_update import create_portal_session
from service.gateways.stripe.checkout import expire_session
from service.gateways.stripe.client import StripeApiClient
from service.settings import StripeSettings

HOSTED_ORIGINS = ("https://checkout.stripe.com", "https://billing.stripe.com", "https://invoice.stripe.com")


class StripeGateway:
    """Implements `service.domain.ports.PaymentGateway`, which documents each method."""

    name = "stripe"

    def __init__(self, api: StripeApiClient, settings: StripeSettings) -> None:
        self._api = api
        self.hosted_origins: tuple[str, ...] = (
            HOSTED_ORIGINS if settings.api_base is None else (*HOSTED_ORIGINS, origin_of(settings.api_base))
        )

    def problem(self) -> str | None:
        """Return that Stripe did not answer, from its first failure until its next answer."""
        return "Stripe does not answer or refuses the key; see the log" if self._api.has_failed_recently else None

    def charge_limits(self, currency: str) -> ChargeLimits:
        """Return Stripe's minimum charge and step."""
        return currencies.charge_limits(currency)

    def save_product(self, campaign_id: uuid.UUID, name: str) -> None:
        """Create, rename or reactivate the campaign's product."""
        products.save_product(self._api, campaign_id, name)

    def create_checkout(self, params: CheckoutParams) -> Checkout:
        """Create a Checkout Session."""
        return checkout.create_checkout(self._api, params)

    def expire_checkout(self, checkout: str) -> None:
        """Expire the Checkout Session."""
        expire_session(self._api, checkout)

    def cancel_subscription(self, subscription: str) -> None:
        """Cancel the subscription immediately."""
        subscriptions.cancel_subscription(self._api, subscription)

    def erase_customer(self, customer: str) -> bool:
        """Redact the customer, and delete it if nothing of it is open."""
        return customer_erasure.erase_customer(self._api, customer)

    def update_subscription_amount(
        self,
        subscription: str,
        money: Money,
        *,
        pledge_id: uuid.UUID,
        expected: Money | None = None,
        frequency: Frequency | None = None,
    ) -> None:
        """Replace the price of the subscription, without proration."""
        subscriptions.update_subscription_amount(
            self._api, subscription, money, pledge_id=pledge_id, expected=expected, frequency=frequency
        )

    def set_pause(self, subscription: str, *, resumes_at: datetime.datetime | None, key: str) -> None:
        """Pause the collection of the subscription's payments, or end that."""
        subscriptions.set_pause(self._api, subscription, resumes_at=resumes_at, key=key)

    def create_payment_method_session(
        self, customer: str, subscriptions: Sequence[str], *, return_url: str, lang: str
    ) -> str:
        """Create a session of the Billing Portal."""
        return create_portal_session(self._api, customer, subscriptions, return_url=return_url, lang=lang)

    def update_customer_email(self, customer: str, email: str, *, update_id: uuid.UUID) -> None:
        """Change the email address of a Customer."""
        customers.update_customer_email(self._api, customer, email, update_id=update_id)

    def find_refunds(self, payment_reference: str) -> GatewayRefunds:
        """List the refunds of a payment."""
        return refunds.find_refunds(self._api, payment_reference)

    def get_invoice(self, invoice: str) -> GatewayInvoice:
        """Retrieve the invoice."""
        return subscriptions.get_invoice(self._api, invoice)

    def pay_invoice(self, invoice: str, *, key: str) -> None:
        """Pay the invoice with the default payment method."""
        subscriptions.pay_invoice(self._api, invoice, key=key)

    def create_refund(self, params: RefundParams) -> RefundUpdated:
        """Create a refund."""
        return refunds.create_refund(self._api, params)

    def list_balance_transactions(
        self, since: datetime.datetime, until: datetime.datetime | None
    ) -> Iterator[list[GatewayBalanceTransaction]]:
        """List the balance transactions of charges, refunds and disputes."""
        return balance.list_balance_transactions(self._api, since, until)

    def find_invoices(self, intents: Mapping[str, datetime.datetime]) -> dict[str, str]:
        """Find the invoices that PaymentIntents paid."""
        return balance.find_invoices(self._api, intents)
