"""Two transactions about one email, in every order: the email is not accepted twice, and not after a cancel.

One actor runs a step in an open transaction, another runs its own, and then the first commits or rolls back. What
follows is played to its end: each worker that may send does, and another one takes over what is left.
"""

import datetime
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, EmailKind, EmailStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.domain.calendar import DueDate
from service.domain.email import delivery
from service.domain.email.delivery import DeliveryResult
from service.domain.email.queue import EmailClaim, claim_due_emails
from service.domain.errors import LeaseLost
from service.domain.reminders.transitions import cancel, confirm, reschedule
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs import notifications
from tests.jobs.fake_mailer import claim, enqueue_due, finisher
from tests.jobs.test_sign_ups import waiting_for_a_lock
from tests.processes import wait_until

MONTH = datetime.timedelta(days=32)
KINDS = (
    EmailKind.REMINDER,
    EmailKind.REMINDER_CONFIRMATION,
    EmailKind.RECEIPT,
    EmailKind.SIGN_IN,
    EmailKind.CANCELLED,
)
OF_REMINDERS = KINDS[:2]


@dataclass
class Play:
    """One email that worker A has claimed, the mail server's log, and the steps of each actor."""

    container: Container
    clock: FakeClock
    kind: EmailKind
    hold: bool
    claim: EmailClaim
    accepted: Counter[str] = field(default_factory=Counter)
    begun: set[str] = field(default_factory=set)

    def begin(self, session: Session) -> bool:
        """Worker A marks the email as sending."""
        return self._begin(session, self.claim, "A")

    def record(self, session: Session) -> None:
        """Worker A records the server's reply, if it was one."""
        if "A" in self.begun:
            self._record(session, self.claim)

    def settle(self, session: Session) -> None:
        """Worker A completes its batch."""
        delivery.complete_emails(
            session, [self.claim], hold_uncertain=self.hold, now=self.clock(), on_finished=finisher(self.container)
        )

    def recover(self, session: Session) -> None:
        """Worker B completes what it takes for lost: A's lease has ended."""
        delivery.recover_expired_leases(
            session,
            hold_uncertain=self.hold,
            now=self.clock() + datetime.timedelta(hours=1),
            on_finished=finisher(self.container),
        )

    def cancel(self, session: Session) -> None:
        """The reader cancels the reminder."""
        cancel(session, self._reminder(session), now=self.clock())

    def renew(self, session: Session) -> None:
        """The reader asks for it again, in a month."""
        due = self.clock() + MONTH
        reschedule(session, self._reminder(session), DueDate(due.date(), due), now=self.clock())

    def confirm(self, session: Session) -> None:
        """The reader confirms the reminder with the link of an earlier request."""
        reminder = self._reminder(session)
        if reminder.awaits_confirmation:
            confirm(session, reminder, now=self.clock())

    def finish(self) -> None:
        """Let A go on to the end, and then B with whatever is due or was lost."""
        with self.container.database.transaction() as session:
            if "A" in self.begun:
                self._send("A")
                self._record(session, self.claim)
        self._commit(self.settle)
        for _ in range(3):
            self._commit(self.recover)
            with self.container.database.transaction() as session:
                claims = self._claim_as_b(session)
            for claimed in claims:
                with self.container.database.transaction() as session:
                    may_send = self._is_wanted(session, claimed) and self._begin(session, claimed, "B")
                if may_send:
                    self._send("B")
                    with self.container.database.transaction() as session:
                        self._record(session, claimed)
                with self.container.database.transaction() as session:
                    delivery.complete_emails(
                        session,
                        [claimed],
                        hold_uncertain=self.hold,
                        now=self.clock(),
                        on_finished=finisher(self.container),
                    )

    def status(self) -> EmailStatus:
        with self.container.database.read_only() as session:
            return session.get_one(OutgoingEmail, self.claim.email_id).status

    def _is_wanted(self, session: Session, claimed: EmailClaim) -> bool:
        # As the builder does: what was accepted is completed, and not sent again.
        assert claimed.email_id == self.claim.email_id
        return session.get_one(OutgoingEmail, claimed.email_id).outcome != DeliveryOutcome.ACCEPTED

    def _claim_as_b(self, session: Session) -> list[EmailClaim]:
        return claim_due_emails(
            session,
            worker=uuid.uuid4(),
            now=self.clock(),
            limit=100,
            lease=self.container.lease_duration,
            respect_sending_hours=False,
        ).claims

    def _begin(self, session: Session, claimed: EmailClaim, worker: str) -> bool:
        try:
            delivery.mark_sending(session, claimed, now=self.clock())
        except LeaseLost:
            return False
        self.begun.add(worker)
        return True

    def _record(self, session: Session, claimed: EmailClaim) -> None:
        result = DeliveryResult(claimed, DeliveryOutcome.ACCEPTED, "250 OK")
        with suppress(LeaseLost):
            delivery.record_result(session, result, now=self.clock())

    def _send(self, worker: str) -> None:
        self.accepted[worker] += 1

    def _reminder(self, session: Session) -> Reminder:
        return session.scalars(select(Reminder).with_for_update()).one()

    def _commit(self, step: Callable[[Session], object]) -> None:
        with self.container.database.transaction() as session:
            step(session)


@contextmanager
def playing(container: Container, clock: FakeClock, kind: EmailKind, *, hold: bool) -> Iterator[Play]:
    """Yield a play whose email is claimed by worker A."""
    if kind in OF_REMINDERS:
        create_reminder(container, "reader@news.example")
        with container.database.transaction() as session:
            reminder = session.scalars(select(Reminder)).one()
            reminder.awaits_confirmation = kind == EmailKind.REMINDER_CONFIRMATION
            reminder.due_at = clock()
            session.flush()
            enqueue_due(session, container)
    else:
        notifications.enqueue(container, kind)
    with container.database.transaction() as session:
        claimed = claim(session, container)
    assert [each.kind for each in claimed] == [kind]
    yield Play(container, clock, kind, hold, claimed[0])


def run_interleaved(
    play: Play, first: Callable[[Session], object], second: Callable[[Session], object], *, commits: bool
) -> tuple[object, object]:
    """Run `second` while the transaction of `first` is open; return what both returned."""

    def in_own_transaction() -> object:
        with play.container.database.transaction() as session:
            return second(session)

    with ThreadPoolExecutor(1) as pool, play.container.database.engine.connect() as connection:
        transaction = connection.begin()
        session = Session(connection)
        returned = first(session)
        session.flush()
        running = pool.submit(in_own_transaction)
        wait_until(
            lambda: running.done() or waiting_for_a_lock(play.container), what="the second to end or to wait"
        )
        if commits:
            transaction.commit()
        else:
            transaction.rollback()
            if first == play.begin:
                play.begun.discard("A")
        return returned, running.result(timeout=60)


STEPS = ("begin", "settle", "recover", "cancel", "renew", "confirm")
OF_READERS = ("cancel", "renew", "confirm")
# A's own steps follow each other.
SAME_ACTOR = ({"begin", "settle"}, {"cancel", "renew"}, {"cancel", "confirm"}, {"renew", "confirm"})
CASES = [
    pytest.param(kind, first, second, commits, hold, id=f"{kind}-{first}-{second}-{commits}-{hold}")
    for kind in KINDS
    for first in STEPS
    for second in STEPS
    for commits in (True, False)
    for hold in (True, False)
    if first != second
    and {first, second} not in SAME_ACTOR
    and (kind in OF_REMINDERS or not {first, second} & set(OF_READERS))
    and (kind == EmailKind.REMINDER_CONFIRMATION or "confirm" not in (first, second))
]


@pytest.mark.parametrize(("kind", "first", "second", "commits", "hold"), CASES)
def test_no_order_of_two_steps_sends_an_email_twice_or_after_a_cancel(
    container: Container, clock: FakeClock, kind: EmailKind, first: str, second: str, commits: bool, hold: bool
) -> None:
    with playing(container, clock, kind, hold=hold) as play:
        steps = {name: getattr(play, name) for name in STEPS}
        results = dict(
            zip((first, second), run_interleaved(play, steps[first], steps[second], commits=commits), strict=True)
        )
        # A reader's step that committed before the email was begun leaves nothing to send.
        by_reader = next((step for step in (first, second) if step in OF_READERS), None)
        if by_reader is not None and "begin" in results and commits and first == by_reader:
            assert results["begin"] is False
        status = play.status()
        if by_reader is not None and (commits or second == by_reader):
            assert status == EmailStatus.CANCELLED
        play.finish()
        if by_reader is not None and (commits or second == by_reader) and "begin" not in results:
            assert play.accepted == {}
        # Only an email whose worker was taken for dead while it sent may be sent again, and with `hold` none is.
        in_doubt = {first, second} == {"begin", "recover"} and "A" in play.begun
        assert play.accepted.total() <= (2 if in_doubt and not hold else 1)
        if by_reader is None and not in_doubt:
            assert play.accepted.total() == 1
            assert play.status() == EmailStatus.SENT


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hold", [True, False])
def test_worker_that_wakes_while_its_batch_is_recovered_begins_nothing(
    container: Container, clock: FakeClock, kind: EmailKind, hold: bool
) -> None:
    # B returns an email that A had not begun, and A wakes in that moment.
    with playing(container, clock, kind, hold=hold) as play:
        _, begun = run_interleaved(play, play.recover, play.begin, commits=True)
        assert begun is False
        assert play.status() == EmailStatus.SCHEDULED
        play.finish()
        assert play.accepted == {"B": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_worker_that_begins_first_is_not_recovered(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    with playing(container, clock, kind, hold=True) as play:
        begun, _ = run_interleaved(play, play.begin, play.recover, commits=True)
        assert begun is True
        assert play.status() == EmailStatus.SENDING
        play.finish()
        assert play.accepted == {"A": 1}
        assert play.status() == EmailStatus.SENT
