"""Stripe: it takes the money on its own page, and tells us what became of it."""

from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.events import StripeEvents
from service.gateways.stripe.gateway import StripeGateway

__all__ = ["StripeApiClient", "StripeEvents", "StripeGateway"]
