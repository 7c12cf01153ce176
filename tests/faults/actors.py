"""The readers' rules of `tests.faults.state_machine`; after each rule a worker takes some steps."""

import datetime
import uuid
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome
from service.container import Container
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder
from service.domain.campaigns.definitions import get_campaign
from service.domain.email.mailbox_limits import RESUBSCRIPTION
from service.domain.reminders.reminders import CreateReminder, create_or_update_reminder
from service.domain.reminders.self_service import (
    cancel_reminder,
    confirm_reminder,
    reminder_token,
    snooze_reminder,
)
from service.domain.supporters import get_or_create_supporter
from tests.clock import FakeClock
from tests.faults.manual_worker import Mailbox, ServerReply

START_TIME = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
CONFIRMED_CAMPAIGN = "careful"
ZONES = {"ada@news.example": "Pacific/Auckland", "bo@news.example": "America/New_York"}
# Only two, so that each goes through many events.
READERS = (("ada@news.example", "default"), ("bo@news.example", CONFIRMED_CAMPAIGN))
READER_CHOICES = st.sampled_from(READERS)
Work = tuple[int, int, ServerReply]
WORKERS = st.sampled_from((0, 1))
SERVER_REPLIES = st.sampled_from(
    [
        *[(DeliveryOutcome.ACCEPTED, True)] * 3,
        (DeliveryOutcome.DEFERRED, False),
        (DeliveryOutcome.DEFERRED, True),
        (DeliveryOutcome.REJECTED, False),
        (DeliveryOutcome.NOT_ATTEMPTED, False),
    ]
)
# Which worker takes how many steps, and the reply it gets. Every rule draws this, because runs that send hardly
# any email find little.
WORKER_STEPS = st.tuples(WORKERS, st.integers(0, 4), SERVER_REPLIES)
NO_STEPS: Work = (0, 0, (DeliveryOutcome.ACCEPTED, True))


@dataclass
class ExpectedReminder:
    """What one reader expects of one campaign; `since` is the occurrence that they requested."""

    reminder_id: uuid.UUID
    is_wanted: bool = True
    is_confirmed: bool = False
    since: int = 1


class ReaderActions(RuleBasedStateMachine):
    """Readers sign up, cancel, snooze and confirm, in any order."""

    def __init__(self, container: Container, clock: FakeClock) -> None:
        super().__init__()
        self.container, self.clock = container, clock
        self.mailbox = Mailbox()
        # The reminder and occurrence of each email about one that a worker began to send.
        self.occurrences: dict[uuid.UUID, tuple[uuid.UUID, int]] = {}
        self.expected: dict[tuple[str, str], ExpectedReminder] = {}
        # Those who cancelled, and have not said yes by a link since.
        self.unsubscribed: set[tuple[str, str]] = set()
        self.resubscribed_at: dict[tuple[str, str], datetime.datetime] = {}

    def run_workers(self, work: Work) -> None:
        """Let a worker accept its next steps."""
        raise NotImplementedError

    @rule(reader=READER_CHOICES, months=st.sampled_from((1, 3)), repeat=st.booleans(), work=WORKER_STEPS)
    def sign_up(self, reader: tuple[str, str], months: int, repeat: bool, work: Work) -> None:
        address, slug = reader
        command = CreateReminder(
            campaign=slug, email=address, months=1 if repeat else months, repeat=repeat, timezone=ZONES[address]
        )
        if reader in self.unsubscribed and not self.may_resubscribe(reader):
            # It is answered as always, and changes nothing.
            with self.container.database.transaction() as session:
                create_or_update_reminder(session, get_campaign(session, slug), command, now=self.clock())
            self.run_workers(work)
            return
        with self.container.database.transaction() as session:
            create_or_update_reminder(session, get_campaign(session, slug), command, now=self.clock())
            supporter = get_or_create_supporter(session, address, now=self.clock())
            reminder = session.scalars(
                select(Reminder)
                .join(Reminder.campaign)
                .where(Reminder.supporter_id == supporter, Campaign.slug == slug)
            ).one_or_none()
            if reminder is None:
                # Its mailbox had its share of confirmation requests.
                self.expected.pop(reader, None)
                return
            expectation = self.expected.setdefault(
                reader, ExpectedReminder(reminder.id, is_confirmed=slug != CONFIRMED_CAMPAIGN)
            )
            expectation.is_wanted, expectation.since = True, reminder.occurrence
            if reader in self.unsubscribed:
                expectation.is_confirmed = False
        self.run_workers(work)

    @rule(reader=READER_CHOICES, work=WORKER_STEPS)
    def cancel(self, reader: tuple[str, str], work: Work) -> None:
        expectation = self.expected.get(reader)
        if expectation is not None:
            with self.container.database.transaction() as session:
                cancel_reminder(session, self.token(session, expectation), now=self.clock())
            expectation.is_wanted, expectation.is_confirmed = False, False
            self.unsubscribed.add(reader)
        self.run_workers(work)

    @rule(reader=READER_CHOICES, work=WORKER_STEPS)
    def snooze(self, reader: tuple[str, str], work: Work) -> None:
        expectation = self.expected.get(reader)
        if expectation is not None and self.has_mail(expectation):
            with self.container.database.transaction() as session:
                snooze_reminder(session, self.token(session, expectation), months=1, now=self.clock())
                expectation.since = session.get_one(Reminder, expectation.reminder_id).occurrence
            expectation.is_wanted = expectation.is_confirmed = True
            self.unsubscribed.discard(reader)
        self.run_workers(work)

    @rule(reader=READER_CHOICES, work=WORKER_STEPS)
    def confirm(self, reader: tuple[str, str], work: Work) -> None:
        expectation = self.expected.get(reader)
        if expectation is not None and expectation.is_wanted and self.has_mail(expectation):
            with self.container.database.transaction() as session:
                confirm_reminder(session, self.token(session, expectation), now=self.clock())
                if not expectation.is_confirmed:
                    expectation.since = session.get_one(Reminder, expectation.reminder_id).occurrence
            expectation.is_confirmed = True
            self.unsubscribed.discard(reader)
        self.run_workers(work)

    def may_resubscribe(self, reader: tuple[str, str]) -> bool:
        """Whether a sign-up after an unsubscribe is the first in 30 days; it then counts as that."""
        last = self.resubscribed_at.get(reader)
        if last is not None and last > self.clock() - RESUBSCRIPTION.window:
            return False
        self.resubscribed_at[reader] = self.clock()
        return True

    def has_mail(self, expectation: ExpectedReminder) -> bool:
        return any(reminder_id == expectation.reminder_id for reminder_id, _ in self.arrived().values())

    def arrived(self) -> dict[uuid.UUID, tuple[uuid.UUID, int]]:
        """Return the reminder and occurrence of each email about one that arrived."""
        return {
            email_id: occurrence
            for email_id, occurrence in self.occurrences.items()
            if self.mailbox.copies[email_id]
        }

    def token(self, session: Session, expectation: ExpectedReminder) -> str:
        return reminder_token(self.container.database.keyring, session.get_one(Reminder, expectation.reminder_id))
