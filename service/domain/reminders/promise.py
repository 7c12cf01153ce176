"""What a reader is promised, and what they chose to give."""

import datetime
from dataclasses import dataclass

from schemas.enums import ReminderStatus
from service.db.models.reminder import Reminder
from service.domain.campaigns.offers import campaign_currencies
from service.domain.money.amounts import Money


@dataclass(frozen=True, kw_only=True)
class ReminderResult:
    """What the reader is told: the same whether or not their address was known."""

    status: ReminderStatus
    due_on: datetime.date
    due_at: datetime.datetime
    repeat: bool


def reminder_result(reminder: Reminder) -> ReminderResult:
    """Return what is promised of a reminder as it stands."""
    return ReminderResult(
        status=reminder.status,
        due_on=reminder.due_on,
        due_at=reminder.due_at,
        repeat=reminder.every_months is not None,
    )


def preselected_amount(reminder: Reminder) -> Money | None:
    """Return the amount that the reader chose, if they chose one in money that the campaign still takes."""
    if reminder.amount_minor is None or reminder.currency not in campaign_currencies(reminder.campaign):
        return None
    return Money(reminder.amount_minor, reminder.currency)
