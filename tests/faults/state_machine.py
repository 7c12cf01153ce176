"""A state machine of readers, staff, workers, crashes and time, with the invariants of every kind of email."""

import dataclasses
import datetime
import threading
import uuid
from collections import Counter
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from sqlalchemy import delete, func, select

from jobs.emails import recover_expired_leases
from jobs.reminders import enqueue_reminders
from schemas.enums import DeliveryOutcome, EmailKind, EmailStatus, ReminderStatus
from service.commands.demo_campaign import load_demo_campaign
from service.db.models import Base
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.domain.campaigns.definitions import upsert_campaign
from service.domain.email.failures import retry_email
from service.domain.email.queue import EmailClaim
from service.domain.ports import Email
from service.domain.privacy.retention import purge_unconfirmed_reminders
from service.domain.reminders.queue import retry_reminder
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
from tests.faults.manual_worker import ManualWorker
from tests.faults.notifications import RECIPIENTS, STAFF, enqueue_notification, may_be_skipped

OPEN_STATUSES = (EmailStatus.SCHEDULED, EmailStatus.SENDING)
NOTIFICATION_KINDS = st.sampled_from(list(RECIPIENTS))
TIME_STEPS = st.sampled_from(
    [datetime.timedelta(minutes=minutes) for minutes in (0.5, 2, 60, 60 * 12, 60 * 24 * 8)]
)
MAX_STEPS_TO_IDLE = 40
MAX_STEPS_PER_BATCH = 300


class EmailStateMachine(ReaderActions):
    """One run. Its teardown lets the workers finish everything, so that a lost email shows."""

    @initialize(hold_uncertain=st.booleans())
    def set_up(self, hold_uncertain: bool) -> None:
        self.clock.now = START_TIME
        with self.container.database.transaction() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))
            upsert_campaign(session, load_demo_campaign(), now=START_TIME)
        offer = {"enabled": True, "choices": [1, 3], "repeats": [1]}
        update_campaign(self.container, reminder=offer)
        update_campaign(self.container, slug=CONFIRMED_CAMPAIGN, reminder=offer | {"confirm": True})
        mail = dataclasses.replace(
            self.container.settings.mail, hold_uncertain=hold_uncertain, alert_recipients=(STAFF,)
        )
        self.container = dataclasses.replace(
            self.container, settings=dataclasses.replace(self.container.settings, mail=mail)
        )
        self.workers = [ManualWorker(self.container, self.mailbox, self.check_may_be_sent) for _ in range(2)]
        self.confirmation_requests: set[uuid.UUID] = set()
        self.notifications: set[uuid.UUID] = set()
        self.status_counts: Counter[EmailStatus] = Counter()
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

    @rule(kind=NOTIFICATION_KINDS, work=WORKER_STEPS)
    def notify(self, kind: EmailKind, work: Work) -> None:
        self.notifications |= enqueue_notification(self.container, kind)
        self.run_workers(work)

    @rule()
    def enqueue_due(self) -> None:
        """Put what is due into the outbox, where it waits."""
        self.advance_clock(self.next_due())
        self.enqueue()

    @precondition(lambda self: self.status_counts[EmailStatus.SENDING])
    @rule(work=WORKER_STEPS)
    def recover_leases(self, work: Work) -> None:
        self.advance_clock(self.clock() + self.container.lease_duration)
        recover_expired_leases(self.container, threading.Event())
        self.run_workers(work)

    @precondition(lambda self: self.status_counts[EmailStatus.FAILED])
    @rule(work=WORKER_STEPS)
    def retry_failed(self, work: Work) -> None:
        def on_retried(*_: object) -> None:
            raise AssertionError("a notification is about no reminder")

        with self.container.database.transaction() as session:
            failed = select(OutgoingEmail).where(OutgoingEmail.status == EmailStatus.FAILED)
            for email in session.scalars(failed).all():
                if email.reminder_id is None:
                    retry_email(session, email.id, now=self.clock(), on_retried=on_retried)
                else:
                    retry_reminder(session, email.reminder_id, now=self.clock())
                if self.container.settings.mail.hold_uncertain:
                    self.mailbox.allowed_duplicates[email.id] += 1
        self.run_workers(work)

    @rule(time=TIME_STEPS, work=WORKER_STEPS)
    def pass_time(self, time: datetime.timedelta, work: Work) -> None:
        self.advance_clock(self.clock() + time)
        self.run_workers(work)

    @invariant()
    def refresh_status_counts(self) -> None:
        with self.container.database.read_only() as session:
            query = select(OutgoingEmail.status, func.count()).group_by(OutgoingEmail.status)
            self.status_counts = Counter(dict(session.execute(query).all()))

    @invariant()
    def check_no_unexplained_duplicates(self) -> None:
        for email_id, copies in self.mailbox.copies.items():
            assert copies <= 1 + self.mailbox.allowed_duplicates[email_id], email_id

    @invariant()
    def check_outbox_agrees_with_reminders(self) -> None:
        """A reminder is `sending` while its email is open, `failed` while that has failed, and else has none."""
        with self.container.database.read_only() as session:
            emails = session.execute(
                select(OutgoingEmail.reminder_id, OutgoingEmail.occurrence, OutgoingEmail.status).where(
                    OutgoingEmail.reminder_id.is_not(None),
                    OutgoingEmail.status.in_((*OPEN_STATUSES, EmailStatus.FAILED)),
                )
            )
            by_email = {
                (row.reminder_id, row.occurrence): "sending" if row.status in OPEN_STATUSES else "failed"
                for row in emails
            }
            reminders = session.execute(
                select(Reminder.id, Reminder.occurrence, Reminder.status).where(
                    Reminder.status.in_((ReminderStatus.SENDING, ReminderStatus.FAILED))
                )
            )
            assert by_email == {(row.id, row.occurrence): row.status.value for row in reminders}

    def check_may_be_sent(self, claim: EmailClaim, email: Email) -> None:
        with self.container.database.read_only() as session:
            stored = session.get_one(OutgoingEmail, claim.email_id)
        if stored.reminder_id is None:
            assert email.to == RECIPIENTS[claim.kind]
            return
        self.occurrences[stored.id] = (stored.reminder_id, stored.occurrence)
        [expectation] = [
            expectation for expectation in self.expected.values() if expectation.reminder_id == stored.reminder_id
        ]
        assert expectation.is_wanted, "an email is sent after its reader cancelled"
        is_confirmation_request = claim.kind == EmailKind.REMINDER_CONFIRMATION
        if is_confirmation_request:
            self.confirmation_requests.add(stored.id)
        assert is_confirmation_request == (not expectation.is_confirmed), (
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
            *(one for one in self.expected.values() if one.is_wanted and not self.expectation_met(one)),
            *self.unsettled_notifications(),
        ]:
            steps += 1
            assert steps < MAX_STEPS_TO_IDLE, f"never sent: {unmet}"
            self.retry_failed(NO_STEPS)
            self.recover_leases(NO_STEPS)
            self.drain()
            self.advance_clock(self.next_due())
        self.check_no_unexplained_duplicates()
        self.check_outbox_agrees_with_reminders()
        self.check_history()
        self.check_sent_emails()

    def drain(self) -> None:
        worker = self.workers[0]
        self.enqueue()
        for _ in range(MAX_STEPS_PER_BATCH):
            worker.step((DeliveryOutcome.ACCEPTED, True))
            if worker.is_idle:
                return
        raise AssertionError(f"a worker did not complete a batch in {MAX_STEPS_PER_BATCH} steps")

    def expectation_met(self, expectation: ExpectedReminder) -> bool:
        """Whether the last email they requested arrived: the reminder, or the confirmation request before it."""
        arrived = {
            email_id
            for email_id, (reminder_id, occurrence) in self.arrived().items()
            if reminder_id == expectation.reminder_id and occurrence >= expectation.since
        }
        return bool(arrived - self.confirmation_requests if expectation.is_confirmed else arrived)

    def unsettled_notifications(self) -> list[tuple[EmailKind, EmailStatus, str | None]]:
        """Return the notifications that neither arrived nor were skipped because they were of no use any more."""
        with self.container.database.read_only() as session:
            stored = {email.id: email for email in session.scalars(select(OutgoingEmail))}
        assert self.notifications <= stored.keys(), "a notification was lost"
        return [
            (email.kind, email.status, email.reason)
            for email in (stored[email_id] for email_id in self.notifications)
            if not self.mailbox.copies[email.id]
            and not (email.status == EmailStatus.SKIPPED and may_be_skipped(email, self.clock()))
        ]

    def check_sent_emails(self) -> None:
        """What is recorded as sent has arrived, and a copy has the same Message-ID."""
        with self.container.database.read_only() as session:
            kinds = dict(session.execute(select(OutgoingEmail.id, OutgoingEmail.kind)).all())
            sent = set(session.scalars(select(OutgoingEmail.id).where(OutgoingEmail.status == EmailStatus.SENT)))
        assert sent <= self.mailbox.copies.keys(), "an email that never arrived is recorded as sent"
        for email_id, message_ids in self.mailbox.message_ids.items():
            # Each copy of a sign-in link has a link of its own. The row of a purged reminder is gone.
            assert len(message_ids) == 1 or kinds.get(email_id) == EmailKind.SIGN_IN
        all_ids = [message_id for message_ids in self.mailbox.message_ids.values() for message_id in message_ids]
        assert len(all_ids) == len(set(all_ids)), "two emails have the same Message-ID"

    def enqueue(self) -> None:
        """Run the job that puts due reminders into the outbox."""
        enqueue_reminders(self.container, threading.Event())

    def run_workers(self, work: Work) -> None:
        """Let a worker accept its next steps; a frozen one takes none."""
        index, steps, reply = work
        worker = self.workers[index]
        for _ in range(0 if worker.is_frozen else steps):
            if worker.is_idle:
                self.advance_clock(self.next_due())
                self.enqueue()
            worker.step(reply)

    def any_worker(self, can: Callable[[ManualWorker], bool]) -> bool:
        return any(can(worker) and not worker.is_frozen for worker in self.workers)

    def worker(self, first: int, can: Callable[[ManualWorker], bool]) -> ManualWorker:
        """Return a worker that is not frozen and satisfies `can`, preferably the given one."""
        command = (self.workers[first], self.workers[1 - first])
        return next(worker for worker in command if can(worker) and not worker.is_frozen)

    def next_due(self) -> datetime.datetime:
        with self.container.database.read_only() as session:
            reminder = select(func.min(Reminder.due_at)).where(Reminder.status == ReminderStatus.SCHEDULED)
            email = select(func.min(OutgoingEmail.due_at)).where(OutgoingEmail.status == EmailStatus.SCHEDULED)
            due = [at for at in map(session.scalar, (reminder, email)) if at is not None]
        return max(self.clock(), min(due, default=self.clock()))

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
