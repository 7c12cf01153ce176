"""A state machine of readers, staff, workers, crashes and time, with the invariants of reminders."""

import dataclasses
import datetime
import threading
import uuid
from collections import Counter
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from service.domain.reminders.failures import retry_reminder
from sqlalchemy import delete, func, select

from jobs.reminders import recover_expired_reminder_leases
from schemas.enums import DeliveryOutcome, ReminderStatus
from service.commands.campaign_files import load_campaign_file
from service.commands.migrate import DEMO_CAMPAIGN
from service.db.models import Base
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.domain.campaigns.definitions import parse_definition, upsert_campaign
from service.domain.email.queue import EmailClaim
from service.domain.ports import ReminderEmail
from service.domain.privacy.retention import purge_unconfirmed_reminders
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
TIME_STEPS = st.sampled_from(
    [datetime.timedelta(minutes=minutes) for minutes in (0.5, 2, 60, 60 * 12, 60 * 24 * 8)]
)
MAX_STEPS_TO_IDLE = 40
MAX_STEPS_PER_BATCH = 20


class ReminderStateMachine(ReaderActions):
    """One run. Its teardown lets the workers finish everything, so that a lost reminder shows."""

    @initialize(hold_uncertain=st.booleans())
    def set_up(self, hold_uncertain: bool) -> None:
        self.clock.now = START_TIME
        with self.container.database.transaction() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))
            upsert_campaign(session, parse_definition(load_campaign_file(DEMO_CAMPAIGN)), now=START_TIME)
        offer = {"enabled": True, "choices": [1, 3], "repeats": [1]}
        update_campaign(self.container, reminder=offer)
        update_campaign(self.container, slug=CONFIRMED_CAMPAIGN, reminder=offer | {"confirm": True})
        mail = dataclasses.replace(self.container.settings.mail, hold_uncertain=hold_uncertain)
        self.container = dataclasses.replace(
            self.container, settings=dataclasses.replace(self.container.settings, mail=mail)
        )
        self.workers = [ManualWorker(self.container, self.mailbox, self.check_may_be_sent) for _ in range(2)]
        self.confirmation_requests: set[Occurrence] = set()
        self.status_counts: Counter[ReminderStatus] = Counter()
        for reader in READERS:
            self.sign_up(reader, months=1, repeat=False, work=NO_STEPS)

    @rule(work=WORKER_STEPS)
    def step_worker(self, work: Work) -> None:
        self.run_workers(work)

    @precondition(lambda self: self.any_worker(lambda worker: not worker.is_idle))
    @rule(first=WORKERS, work=WORKER_STEPS)
    def crash(self, first: int, work: Work) -> None:
        self.worker(first, lambda worker: not worker.is_idle).crash()
        self.run_workers(work)

    @precondition(lambda self: self.any_worker(lambda worker: not worker.is_idle))
    @rule(first=WORKERS, work=WORKER_STEPS)
    def freeze(self, first: int, work: Work) -> None:
        self.worker(first, lambda worker: not worker.is_idle).freeze()
        self.run_workers(work)

    @precondition(lambda self: any(worker.is_frozen for worker in self.workers))
    @rule(work=WORKER_STEPS)
    def thaw(self, work: Work) -> None:
        for worker in self.workers:
            worker.is_frozen = False
        self.run_workers(work)

    @precondition(lambda self: self.status_counts[SENDING])
    @rule(work=WORKER_STEPS)
    def recover_leases(self, work: Work) -> None:
        self.advance_clock(self.clock() + self.container.lease_duration)
        recover_expired_reminder_leases(self.container, threading.Event())
        self.run_workers(work)

    @precondition(lambda self: self.status_counts[FAILED])
    @rule(work=WORKER_STEPS)
    def retry_failed(self, work: Work) -> None:
        with self.container.database.transaction() as session:
            for reminder in session.scalars(select(Reminder).where(Reminder.status == FAILED)):
                retry_reminder(session, reminder.id, now=self.clock())
                if self.container.settings.mail.hold_uncertain:
                    self.mailbox.allowed_duplicates[reminder.id, reminder.occurrence] += 1
        self.run_workers(work)

    @rule(time=TIME_STEPS, work=WORKER_STEPS)
    def pass_time(self, time: datetime.timedelta, work: Work) -> None:
        self.advance_clock(self.clock() + time)
        self.run_workers(work)

    @invariant()
    def refresh_status_counts(self) -> None:
        with self.container.database.read_only() as session:
            rows = session.execute(select(Reminder.status, func.count()).group_by(Reminder.status)).all()
        self.status_counts = Counter(dict(rows))

    @invariant()
    def check_no_unexplained_duplicates(self) -> None:
        for occurrence, copies in self.mailbox.copies.items():
            assert copies <= 1 + self.mailbox.allowed_duplicates[occurrence], occurrence

    def check_may_be_sent(self, claim: EmailClaim, email: ReminderEmail) -> None:
        [expectation] = [
            expectation for expectation in self.expected.values() if expectation.reminder_id == claim.reminder_id
        ]
        assert expectation.is_wanted, "an email is sent after its reader cancelled"
        if email.is_confirmation_request:
            self.confirmation_requests.add((claim.reminder_id, claim.occurrence))
        assert email.is_confirmation_request == (not expectation.is_confirmed), (
            "only the confirmation request is sent before a confirmation"
        )

    def teardown(self) -> None:
        """Let the workers finish everything, and check that every reader got what they expect."""
        try:
            self.run_to_completion()
        finally:
            self.crash_all_workers()

    def crash_all_workers(self) -> None:
        for worker in getattr(self, "workers", ()):
            worker.crash()

    def run_to_completion(self) -> None:
        self.crash_all_workers()
        steps = 0
        while unmet := [
            expectation
            for expectation in self.expected.values()
            if expectation.is_wanted and not self.expectation_met(expectation)
        ]:
            steps += 1
            assert steps < MAX_STEPS_TO_IDLE, f"never sent: {unmet}"
            self.retry_failed(NO_STEPS)
            self.recover_leases(NO_STEPS)
            self.drain()
            self.advance_clock(self.next_due())
        self.check_no_unexplained_duplicates()
        self.check_history()

    def drain(self) -> None:
        worker = self.workers[0]
        for _ in range(MAX_STEPS_PER_BATCH):
            worker.step((DeliveryOutcome.ACCEPTED, True))
            if worker.is_idle:
                return
        raise AssertionError(f"a worker did not complete a batch in {MAX_STEPS_PER_BATCH} steps")

    def expectation_met(self, expectation: ExpectedReminder) -> bool:
        """Whether the last email they requested arrived: the reminder, or the confirmation request before it."""
        arrived = {
            occurrence
            for occurrence in self.mailbox.copies
            if occurrence[0] == expectation.reminder_id and occurrence[1] >= expectation.since
        }
        return bool(arrived - self.confirmation_requests if expectation.is_confirmed else arrived)

    def run_workers(self, work: Work) -> None:
        """Let a worker accept its next steps; a frozen one takes none."""
        index, steps, reply = work
        worker = self.workers[index]
        for _ in range(0 if worker.is_frozen else steps):
            if worker.is_idle:
                self.advance_clock(self.next_due())
            worker.step(reply)

    def any_worker(self, can: Callable[[ManualWorker], bool]) -> bool:
        return any(can(worker) and not worker.is_frozen for worker in self.workers)

    def worker(self, first: int, can: Callable[[ManualWorker], bool]) -> ManualWorker:
        """Return a worker that is not frozen and satisfies `can`, preferably the given one."""
        command = (self.workers[first], self.workers[1 - first])
        return next(worker for worker in command if can(worker) and not worker.is_frozen)

    def next_due(self) -> datetime.datetime:
        with self.container.database.read_only() as session:
            due = session.scalar(select(func.min(Reminder.due_at)).where(Reminder.status == SCHEDULED))
        return max(self.clock(), due or self.clock())

    def advance_clock(self, now: datetime.datetime) -> None:
        """Set the clock; workers that are not frozen renew their leases."""
        self.clock.now = now
        for worker in self.workers:
            if not worker.is_frozen:
                worker.renew()
        with self.container.database.transaction() as session:
            purge_unconfirmed_reminders(session, now=now)
        self.drop_purged()

    def drop_purged(self) -> None:
        with self.container.database.read_only() as session:
            stored = set(session.scalars(select(Reminder.id)))
        for reader, expectation in list(self.expected.items()):
            if expectation.reminder_id not in stored:
                assert not expectation.is_confirmed, "a confirmed reminder was purged"
                del self.expected[reader]

    def check_history(self) -> None:
        with self.container.database.read_only() as session:
            statuses = dict(session.execute(select(Reminder.id, Reminder.status)).all())
            last: dict[uuid.UUID, ReminderStatus] = {}
            for change in session.scalars(select(ReminderStatusChange).order_by(ReminderStatusChange.id)):
                assert change.from_status == last.get(change.reminder_id), "the history has a gap"
                last[change.reminder_id] = change.to_status
        assert last == statuses
