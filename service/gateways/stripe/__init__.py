"""The Stripe payment gateway: hosted checkout, subscriptions, refunds and events."""

from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.events import StripeEvents
from service.gateways.stripe.gateway import StripeGateway

__all__ = ["StripeApiClient", "StripeEvents", "StripeGateway"]
