"""Every table, imported in one place, so that whoever needs the whole of the metadata has it."""

from service.db.audit_entry import AuditEntry
from service.db.base import Base
from service.db.campaign import Campaign, PledgeOption
from service.db.delivery import EmailDelivery
from service.db.gateway_event import GatewayEvent, ReconciliationCursor
from service.db.heartbeat import Heartbeat
from service.db.idempotency_key import IdempotencyKey
from service.db.job_run import JobRun
from service.db.mail_pace import SendRateLimit
from service.db.mail_tally import EmailCounter
from service.db.notice import Notification
from service.db.outbox_mail import DevOutboxEmail
from service.db.payment import BalanceTransaction, Dispute, Payment, Refund
from service.db.pledge import Pledge, PledgeStatusChange
from service.db.reminder import Reminder, ReminderStatusChange
from service.db.sign_in import SignIn
from service.db.staff_token import StaffToken
from service.db.supporter import Supporter
from service.db.suppression import Suppression

__all__ = [
    "AuditEntry",
    "BalanceTransaction",
    "Base",
    "Campaign",
    "DevOutboxEmail",
    "Dispute",
    "EmailCounter",
    "EmailDelivery",
    "GatewayEvent",
    "Heartbeat",
    "IdempotencyKey",
    "JobRun",
    "Notification",
    "Payment",
    "Pledge",
    "PledgeOption",
    "PledgeStatusChange",
    "ReconciliationCursor",
    "Refund",
    "Reminder",
    "ReminderStatusChange",
    "SendRateLimit",
    "SignIn",
    "StaffToken",
    "Supporter",
    "Suppression",
]
