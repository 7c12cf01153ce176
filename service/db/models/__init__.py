"""All models. Importing this package registers every table in `Base.metadata`."""

from service.db.base import Base
from service.db.models.admin import AuditEntry, StaffToken
from service.db.models.campaign import Campaign, PledgeOption
from service.db.models.customer import CustomerUpdate
from service.db.models.email import (
    DevOutboxEmail,
    EmailCounter,
    MailboxLimit,
    MailServerCapability,
    OutgoingEmail,
    SendRateLimit,
    Suppression,
    UsedWebhookProof,
)
from service.db.models.email_change import EmailChange
from service.db.models.erasure import ErasedCustomer, Erasure, ErasureRequest
from service.db.models.jobs import Heartbeat, JobRun
from service.db.models.key_canary import KeyCanary
from service.db.models.payment import (
    BalanceCursor,
    BalanceTransaction,
    Dispute,
    FraudWarning,
    GatewayEvent,
    GatewayEventAddress,
    Payment,
    ReconciliationCursor,
    Refund,
)
from service.db.models.pledge import FormerSubscription, IdempotencyKey, Installation, Pledge, PledgeStatusChange
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.schema_compatibility import SchemaCompatibility
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter

__all__ = [
    "AuditEntry",
    "BalanceCursor",
    "BalanceTransaction",
    "Base",
    "Campaign",
    "CustomerUpdate",
    "DevOutboxEmail",
    "Dispute",
    "EmailChange",
    "EmailCounter",
    "ErasedCustomer",
    "Erasure",
    "ErasureRequest",
    "FormerSubscription",
    "FraudWarning",
    "GatewayEvent",
    "GatewayEventAddress",
    "Heartbeat",
    "IdempotencyKey",
    "Installation",
    "JobRun",
    "KeyCanary",
    "MailServerCapability",
    "MailboxLimit",
    "OutgoingEmail",
    "Payment",
    "Pledge",
    "PledgeOption",
    "PledgeStatusChange",
    "ReconciliationCursor",
    "Refund",
    "Reminder",
    "ReminderStatusChange",
    "SchemaCompatibility",
    "SendRateLimit",
    "SignIn",
    "StaffToken",
    "Supporter",
    "Suppression",
    "UsedWebhookProof",
]
