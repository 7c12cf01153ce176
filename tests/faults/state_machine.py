"""Any sequence of what readers, staff, workers, crashes and time do to reminders, and what must hold in all."""

import dataclasses
import datetime
import threading
import uuid
from collections import Counter
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from sqlalchemy import delete, func, select

from jobs.reminders import recover_expired_reminder_leases
from schemas.enums import DeliveryOutcome, ReminderStatus
from service.commands.campaigns import load_campaign_file
from service.commands.migrate import DEMO_CAMPAIGN
from service.db.models import Base
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.domain.campaigns.definitions import parse_definition, upsert_campaign
from service.domain.ports import ReminderEmail
from service.domain.privacy.retention import purge_unconfirmed_reminders
from service.domain.reminders.failures import retry_reminder
from service.domain.reminders.queue import ReminderClaim
from tests.api.client import update_campaign
from tests.faults.actors import (
    CONFIRMED_CAMPAIGN,
    NO_STEPS,
    READERS,
    START_TIME,
    WORKER_STEPS,
    WORKERS,
    ExpectedReminder,
    ReaderActions,
    Work,
)
from tests.faults.manual_worker import ManualWorker, Occurrence

FAILED, SCHEDULED, SENDING = ReminderStatus.FAILED, ReminderStatus.SCHEDULED, ReminderStatus.SENDING
PASSED = st.sampled_from([datetime.timedelta(minutes=minutes) for minutes in (0.5, 2, 60, 60 * 12, 60 * 24 * 8)])
MAX_STEPS_TO_IDLE = 40
MOST_STEPS_OF_A_RUN = 20


class ReminderStateMachine(ReaderActions):
    """One walk. It ends with the workers doing all that is left to do, so that nothing can be lost on the way."""

    @initialize(holds_doubtful=st.booleans())
    def set_up(self, holds_doubtful: bool) -> None:
        self.clock.now = START_TIME
        with self.container.database.transaction() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))
            upsert_campaign(session, parse_definition(load_campaign_file(DEMO_CAMPAIGN)), now=START_TIME)
        offer = {"enabled": True, "choices": [1, 3], "repeats": [1]}
        update_campaign(self.container, reminder=offer)
        update_campaign(self.container, slug=CONFIRMED_CAMPAIGN, reminder=offer | {"confirm": True})
        mail = dataclasses.replace(self.container.settings.mail, hold_uncertain=holds_doubtful)
        self.container = dataclasses.replace(
            self.container, settings=dataclasses.replace(self.container.settings, mail=mail)
        )
        self.workers = [ManualWorker(self.container, self.post, self.check_that_it_may_leave) for _ in range(2)]
        self.questions: set[Occurrence] = set()
        self.standing: Counter[ReminderStatus] = Counter()
        for who in READERS:
            self.sign_up(who, months=1, repeat=False, work=NO_STEPS)

    @rule(work=WORKER_STEPS)
    def step_worker(self, work: Work) -> None:
        self.let_work(work)

    @precondition(lambda self: self.any_worker(lambda worker: not worker.is_idle))
    @rule(first=WORKERS, work=WORKER_STEPS)
    def crash(self, first: int, work: Work) -> None:
        self.worker(first, lambda worker: not worker.is_idle).crash()
        self.let_work(work)

    @precondition(lambda self: self.any_worker(lambda worker: not worker.is_idle))
    @rule(first=WORKERS, work=WORKER_STEPS)
    def freeze(self, first: int, work: Work) -> None:
        self.worker(first, lambda worker: not worker.is_idle).freeze()
        self.let_work(work)

    @precondition(lambda self: any(worker.is_frozen for worker in self.workers))
    @rule(work=WORKER_STEPS)
    def thaw(self, work: Work) -> None:
        for worker in self.workers:
            worker.is_frozen = False
        self.let_work(work)

    @precondition(lambda self: self.standing[SENDING])
    @rule(work=WORKER_STEPS)
    def recover_leases(self, work: Work) -> None:
        self.advance_clock(self.clock() + self.container.lease_duration)
        recover_expired_reminder_leases(self.container, threading.Event())
        self.let_work(work)

    @precondition(lambda self: self.standing[FAILED])
    @rule(work=WORKER_STEPS)
    def retry_failed(self, work: Work) -> None:
        with self.container.database.transaction() as session:
            for reminder in session.scalars(select(Reminder).where(Reminder.status == FAILED)):
                retry_reminder(session, reminder.id, now=self.clock())
                if self.container.settings.mail.hold_uncertain:
                    self.post.allowed_duplicates[reminder.id, reminder.occurrence] += 1
        self.let_work(work)

    @rule(time=PASSED, work=WORKER_STEPS)
    def pass_time(self, time: datetime.timedelta, work: Work) -> None:
        self.advance_clock(self.clock() + time)
        self.let_work(work)

    @invariant()
    def check_invariants(self) -> None:
        with self.container.database.read_only() as session:
            rows = session.execute(select(Reminder.status, func.count()).group_by(Reminder.status)).all()
        self.standing = Counter(dict(rows))

    @invariant()
    def no_mail_has_arrived_twice_without_a_crash_between(self) -> None:
        for mail, copies in self.post.copies.items():
            assert copies <= 1 + self.post.allowed_duplicates[mail], mail

    def check_that_it_may_leave(self, claim: ReminderClaim, email: ReminderEmail) -> None:
        [payload] = [payload for payload in self.wishes.values() if payload.reminder_id == claim.reminder_id]
        assert payload.is_wanted, "a mail leaves after its reader cancelled"
        if email.is_confirmation_request:
            self.questions.add((claim.reminder_id, claim.occurrence))
        assert email.is_confirmation_request == (not payload.is_confirmed), (
            "only the question leaves before a confirmation"
        )

    def teardown(self) -> None:
        """Let the workers come to an end with everything, and see that everybody has what they wanted."""
        try:
            self.come_to_an_end()
        finally:
            self.let_all_vanish()

    def let_all_vanish(self) -> None:
        for worker in getattr(self, "workers", ()):
            worker.crash()

    def come_to_an_end(self) -> None:
        self.let_all_vanish()
        steps = 0
        while unmet := [
            payload for payload in self.wishes.values() if payload.is_wanted and not self.expectation_met(payload)
        ]:
            steps += 1
            assert steps < MAX_STEPS_TO_IDLE, f"nothing comes of {unmet}"
            self.retry_failed(NO_STEPS)
            self.recover_leases(NO_STEPS)
            self.drain()
            self.advance_clock(self.next_due())
        self.no_mail_has_arrived_twice_without_a_crash_between()
        self.check_the_histories()

    def drain(self) -> None:
        worker = self.workers[0]
        for _ in range(MOST_STEPS_OF_A_RUN):
            worker.step((DeliveryOutcome.ACCEPTED, True))
            if worker.is_idle:
                return
        raise AssertionError(f"a worker is not done with a batch after {MOST_STEPS_OF_A_RUN} steps")

    def expectation_met(self, payload: ExpectedReminder) -> bool:
        """Whether the mail has arrived that they asked for last: the reminder, or first the question."""
        arrived = {
            mail for mail in self.post.copies if mail[0] == payload.reminder_id and mail[1] >= payload.since
        }
        return bool(arrived - self.questions if payload.is_confirmed else arrived)

    def let_work(self, work: Work) -> None:
        """Let a worker take its next steps, as many as it comes to before anything else happens."""
        which, steps, response = work
        worker = self.workers[which]
        for _ in range(0 if worker.is_frozen else steps):
            if worker.is_idle:
                self.advance_clock(self.next_due())
            worker.step(response)

    def any_worker(self, can: Callable[[ManualWorker], bool]) -> bool:
        return any(can(worker) and not worker.is_frozen for worker in self.workers)

    def worker(self, first: int, can: Callable[[ManualWorker], bool]) -> ManualWorker:
        """Return a worker that can, this one if it does."""
        order = (self.workers[first], self.workers[1 - first])
        return next(worker for worker in order if can(worker) and not worker.is_frozen)

    def next_due(self) -> datetime.datetime:
        with self.container.database.read_only() as session:
            due = session.scalar(select(func.min(Reminder.due_at)).where(Reminder.status == SCHEDULED))
        return max(self.clock(), due or self.clock())

    def advance_clock(self, now: datetime.datetime) -> None:
        """Let time pass, in which living workers show that they live."""
        self.clock.now = now
        for worker in self.workers:
            if not worker.is_frozen:
                worker.renew()
        with self.container.database.transaction() as session:
            purge_unconfirmed_reminders(session, now=now)
        self.look_for_the_forgotten()

    def look_for_the_forgotten(self) -> None:
        with self.container.database.read_only() as session:
            kept = set(session.scalars(select(Reminder.id)))
        for who, payload in list(self.wishes.items()):
            if payload.reminder_id not in kept:
                assert not payload.is_confirmed, "a reminder that its reader confirmed is gone"
                del self.wishes[who]

    def check_the_histories(self) -> None:
        with self.container.database.read_only() as session:
            stands = dict(session.execute(select(Reminder.id, Reminder.status)).all())
            last: dict[uuid.UUID, ReminderStatus] = {}
            for move in session.scalars(select(ReminderStatusChange).order_by(ReminderStatusChange.id)):
                assert move.from_status == last.get(move.reminder_id), "a move begins where the last one ended"
                last[move.reminder_id] = move.to_status
        assert last == stands
