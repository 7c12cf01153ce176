"""What the domain asks of the outside world, as Protocols; `service.gateways` keeps these promises."""

import datetime
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy.orm import Session

from service.domain.ports.email import (
    BounceReport,
    Email,
    EmailError,
    EmailWebhookProvider,
    InvalidWebhook,
    Mailer,
    NotificationEmail,
    PermanentFailure,
    ReminderEmail,
    RenderedEmail,
    SendCancelled,
    ServerMisconfigured,
    ServerUnavailable,
    TemporaryFailure,
    UncertainDelivery,
)
from service.domain.ports.payments import (
    NO_LIMITS,
    ChargeLimits,
    Checkout,
    CheckoutParams,
    EventSource,
    GatewayBalanceTransaction,
    GatewayRejected,
    GatewayUnavailable,
    InvalidEvent,
    InvalidSignature,
    PaymentGateway,
    RawEvent,
    RefundParams,
)

Clock = Callable[[], datetime.datetime]
"""Returns the present instant in UTC."""

TransactionFactory = Callable[[], AbstractContextManager[Session]]
"""Opens one transaction: it commits when the block ends and rolls back when it raises."""


class RateLimiter(Protocol):
    """The thing that counts how often one client asks."""

    def check(self, action: str, client: str) -> None:
        """Count one request.

        Raises:
            TooManyRequests: this client asked too often; the error says when to come back.
        """


__all__ = [
    "NO_LIMITS",
    "BounceReport",
    "ChargeLimits",
    "Checkout",
    "CheckoutParams",
    "Clock",
    "Email",
    "EmailError",
    "EmailWebhookProvider",
    "EventSource",
    "GatewayBalanceTransaction",
    "GatewayRejected",
    "GatewayUnavailable",
    "InvalidEvent",
    "InvalidSignature",
    "InvalidWebhook",
    "Mailer",
    "NotificationEmail",
    "PaymentGateway",
    "PermanentFailure",
    "RateLimiter",
    "RawEvent",
    "RefundParams",
    "ReminderEmail",
    "RenderedEmail",
    "SendCancelled",
    "ServerMisconfigured",
    "ServerUnavailable",
    "TemporaryFailure",
    "TransactionFactory",
    "UncertainDelivery",
]
