"""The state machines of pledges, reminders and emails, and what their transition tables allow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from schemas.enums import EmailStatus, PledgeStatus, ReminderStatus
from service.domain.email import status as email_status
from service.domain.errors import InvalidTransition
from service.domain.pledges import status as pledge_status
from service.domain.reminders import status as reminder_status


@dataclass(frozen=True)
class StateMachine:
    """A transition table, read through its `next_status`. `noun` names its subject in error messages."""

    noun: str
    statuses: type[StrEnum]
    events: type[StrEnum]
    transitions: Mapping[tuple[StrEnum, StrEnum], StrEnum]
    next_status: Callable[[StrEnum, StrEnum], StrEnum]

    def is_allowed(self, status: StrEnum, event: StrEnum) -> bool:
        try:
            self.next_status(status, event)
        except InvalidTransition:
            return False
        return True

    def events_from(self, status: StrEnum) -> set[StrEnum]:
        return {event for event in self.events if self.is_allowed(status, event)}

    def statuses_for(self, event: StrEnum) -> set[StrEnum]:
        return {status for status in self.statuses if self.is_allowed(status, event)}

    def reachable(self, start: StrEnum) -> set[StrEnum]:
        found, queue = {start}, [start]
        for status in queue:
            new = {self.next_status(status, event) for event in self.events_from(status)} - found
            found |= new
            queue += new
        return found

    def invalid_transitions(self) -> list[tuple[StrEnum, StrEnum]]:
        """Return every status with each event that the table does not allow in it."""
        return sorted(set(product(self.statuses, self.events)) - set(self.transitions))


PLEDGE = StateMachine(
    "pledge", PledgeStatus, pledge_status.PledgeEvent, pledge_status.TRANSITIONS, pledge_status.next_status
)
REMINDER = StateMachine(
    "reminder",
    ReminderStatus,
    reminder_status.ReminderEvent,
    reminder_status.TRANSITIONS,
    reminder_status.next_status,
)
EMAIL = StateMachine(
    "email",
    EmailStatus,
    email_status.EmailEvent,
    email_status.TRANSITIONS,
    email_status.next_status,
)
MACHINES = [PLEDGE, REMINDER, EMAIL]
