"""Every table, imported in one place, so that whoever needs the whole of the metadata has it."""

from service.db.audit_entry import AuditEntry
from service.db.base import Base
from service.db.campaign import Campaign, SupportChoice
from service.db.heartbeat import Heartbeat
from service.db.idempotency_key import IdempotencyKey
from service.db.outbox_mail import OutboxMail
from service.db.payment import Payment
from service.db.pledge import Pledge, PledgeMove
from service.db.reminder import Reminder, ReminderMove
from service.db.staff_token import StaffToken
from service.db.supporter import Supporter

__all__ = [
    "AuditEntry",
    "Base",
    "Campaign",
    "Heartbeat",
    "IdempotencyKey",
    "OutboxMail",
    "Payment",
    "Pledge",
    "PledgeMove",
    "Reminder",
    "ReminderMove",
    "StaffToken",
    "SupportChoice",
    "Supporter",
]
