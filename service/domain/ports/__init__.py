"""The ports of the domain: Protocols for the outside world, which `service.gateways` implements."""

import datetime
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy.orm import Session

from service.domain.ports.balance import GatewayBalanceTransaction
from service.domain.ports.email import (
    AbuseReport,
    AlertEmail,
    BounceReport,
    Email,
    EmailBrand,
    EmailError,
    EmailLogo,
    EmailWebhookProvider,
    InvalidWebhook,
    MailboxMessage,
    MailboxRefused,
    MailboxUnavailable,
    Mailer,
    NotificationEmail,
    PermanentFailure,
    ReminderEmail,
    RenderedEmail,
    ReportMailbox,
    ServerMisconfigured,
    ServerUnavailable,
    TemporaryFailure,
    UncertainDelivery,
    WebhookProof,
    WebhookUnavailable,
)
from service.domain.ports.payment_methods import PaymentMethod
from service.domain.ports.payments import (
    NO_LIMITS,
    ChargeLimits,
    Checkout,
    CheckoutParams,
    EventSource,
    GatewayAmountChanged,
    GatewayInvoice,
    GatewayRefunds,
    GatewayRejected,
    GatewayTimeout,
    GatewayUnavailable,
    InvalidEvent,
    InvalidSignature,
    KnownOwner,
    KnownPledges,
    OwnerUnknown,
    PaymentGateway,
    RawEvent,
    RefundParams,
)

Clock = Callable[[], datetime.datetime]
"""Returns the current instant in UTC."""

TransactionFactory = Callable[[], AbstractContextManager[Session]]
"""Opens one transaction: it commits when the block ends and rolls back when it raises."""


# The counts of an action beside that of one client: all of its wider network, and all that ask of one campaign.
WIDE_NETWORK, ALL_OF_CAMPAIGN = ".network", ".campaign"


class RateLimiter(Protocol):
    """Limits how often one client may request an action.

    An action ends with `WIDE_NETWORK` or `ALL_OF_CAMPAIGN` if `client` is such a group.
    """

    def check(self, action: str, client: str) -> None:
        """Count one request.

        Raises:
            TooManyRequests: the client exceeds the limit; the error says when to retry.
        """

    def store_problem(self) -> str | None:
        """Ask the shared store whether it can count; return why not, or None."""


__all__ = [
    "ALL_OF_CAMPAIGN",
    "NO_LIMITS",
    "WIDE_NETWORK",
    "AbuseReport",
    "AlertEmail",
    "BounceReport",
    "ChargeLimits",
    "Checkout",
    "CheckoutParams",
    "Clock",
    "Email",
    "EmailBrand",
    "EmailError",
    "EmailLogo",
    "EmailWebhookProvider",
    "EventSource",
    "GatewayAmountChanged",
    "GatewayBalanceTransaction",
    "GatewayInvoice",
    "GatewayRefunds",
    "GatewayRejected",
    "GatewayTimeout",
    "GatewayUnavailable",
    "InvalidEvent",
    "InvalidSignature",
    "InvalidWebhook",
    "KnownOwner",
    "KnownPledges",
    "MailboxMessage",
    "MailboxRefused",
    "MailboxUnavailable",
    "Mailer",
    "NotificationEmail",
    "OwnerUnknown",
    "PaymentGateway",
    "PaymentMethod",
    "PermanentFailure",
    "RateLimiter",
    "RawEvent",
    "RefundParams",
    "ReminderEmail",
    "RenderedEmail",
    "ReportMailbox",
    "ServerMisconfigured",
    "ServerUnavailable",
    "TemporaryFailure",
    "TransactionFactory",
    "UncertainDelivery",
    "WebhookProof",
    "WebhookUnavailable",
]
