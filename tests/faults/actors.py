"""What readers do on a walk (`tests.faults.state_machine`), each with a little work of the workers' after it."""

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
from service.domain.reminders.reminders import CreateReminder, create_or_update_reminder
from service.domain.reminders.self_service import (
    cancel_reminder,
    confirm_reminder,
    reminder_token,
    snooze_reminder,
)
from service.domain.supporters import get_or_create_supporter
from tests.clock import FakeClock
from tests.faults.manual_worker import Answer, Mailbox

START_TIME = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
CONFIRMED_CAMPAIGN = "careful"
ZONES = {"ada@news.example": "Pacific/Auckland", "bo@news.example": "America/New_York"}
# Few, so that much happens to each.
READERS = (("ada@news.example", "default"), ("bo@news.example", CONFIRMED_CAMPAIGN))
WISHES = st.sampled_from(READERS)
Work = tuple[int, int, Answer]
WORKERS = st.sampled_from((0, 1))
ANSWERS = st.sampled_from(
    [
        *[(DeliveryOutcome.ACCEPTED, True)] * 3,
        (DeliveryOutcome.DEFERRED, False),
        (DeliveryOutcome.DEFERRED, True),
        (DeliveryOutcome.REJECTED, False),
        (DeliveryOutcome.NOT_ATTEMPTED, False),
    ]
)
# Which worker takes how many steps, and what it hears. Something of it is in every step of a walk, since walks in
# which hardly a mail is begun show little.
WORKER_STEPS = st.tuples(WORKERS, st.integers(0, 4), ANSWERS)
NO_STEPS: Work = (0, 0, (DeliveryOutcome.ACCEPTED, True))


@dataclass
class ExpectedReminder:
    """What one reader wants of one campaign, as the reader knows it; `since` is the occurrence they asked for."""

    reminder_id: uuid.UUID
    is_wanted: bool = True
    is_confirmed: bool = False
    since: int = 1


class ReaderActions(RuleBasedStateMachine):
    """Readers who sign up, cancel, snooze and confirm, in any order."""

    def __init__(self, container: Container, clock: FakeClock) -> None:
        super().__init__()
        self.container, self.clock = container, clock
        self.post = Mailbox()
        self.wishes: dict[tuple[str, str], ExpectedReminder] = {}

    def run_workers(self, work: Work) -> None:
        """Let a worker take its next steps."""
        raise NotImplementedError

    @rule(who=WISHES, months=st.sampled_from((1, 3)), repeat=st.booleans(), work=WORKER_STEPS)
    def sign_up(self, who: tuple[str, str], months: int, repeat: bool, work: Work) -> None:
        address, slug = who
        asked = CreateReminder(
            campaign=slug, email=address, months=1 if repeat else months, repeat=repeat, timezone=ZONES[address]
        )
        with self.container.database.transaction() as session:
            create_or_update_reminder(session, get_campaign(session, slug), asked, now=self.clock())
            supporter = get_or_create_supporter(session, address, now=self.clock())
            reminder = session.scalars(
                select(Reminder)
                .join(Reminder.campaign)
                .where(Reminder.supporter_id == supporter, Campaign.slug == slug)
            ).one()
            payload = self.wishes.setdefault(
                who, ExpectedReminder(reminder.id, is_confirmed=slug != CONFIRMED_CAMPAIGN)
            )
            payload.is_wanted, payload.since = True, reminder.occurrence
        self.run_workers(work)

    @rule(who=WISHES, work=WORKER_STEPS)
    def cancel(self, who: tuple[str, str], work: Work) -> None:
        payload = self.wishes.get(who)
        if payload is not None:
            with self.container.database.transaction() as session:
                cancel_reminder(session, self.token(session, payload), now=self.clock())
            payload.is_wanted, payload.is_confirmed = False, who[1] != CONFIRMED_CAMPAIGN
        self.run_workers(work)

    @rule(who=WISHES, work=WORKER_STEPS)
    def snooze(self, who: tuple[str, str], work: Work) -> None:
        payload = self.wishes.get(who)
        if payload is not None and self.has_mail(payload):
            with self.container.database.transaction() as session:
                snooze_reminder(session, self.token(session, payload), months=1, now=self.clock())
                payload.since = session.get_one(Reminder, payload.reminder_id).occurrence
            payload.is_wanted = payload.is_confirmed = True
        self.run_workers(work)

    @rule(who=WISHES, work=WORKER_STEPS)
    def confirm(self, who: tuple[str, str], work: Work) -> None:
        payload = self.wishes.get(who)
        if payload is not None and payload.is_wanted and self.has_mail(payload):
            with self.container.database.transaction() as session:
                confirm_reminder(session, self.token(session, payload), now=self.clock())
                if not payload.is_confirmed:
                    payload.since = session.get_one(Reminder, payload.reminder_id).occurrence
            payload.is_confirmed = True
        self.run_workers(work)

    def has_mail(self, payload: ExpectedReminder) -> bool:
        return any(row == payload.reminder_id for row, _ in self.post.copies)

    def token(self, session: Session, payload: ExpectedReminder) -> str:
        return reminder_token(self.container.database.keyring, session.get_one(Reminder, payload.reminder_id))
