"""Transactions that lock several emails or reminders do so in one order, so that none of them deadlocks."""

import datetime
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import select, text, update

from schemas.enums import EmailKind, EmailStatus, ReminderStatus, WaitingPolicy
from service.commands.emails import _retry_by_id
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.email import delivery
from service.domain.email.delivery import FinishedEmail
from service.domain.email.status import EmailEvent
from service.domain.monitoring.restore_guard import start_guard
from service.domain.privacy.merging import merge_supporters
from service.domain.reminders.closing import close_campaign
from service.domain.reminders.delivery import finish_reminders
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.due_emails import create_due_emails
from tests.jobs.fake_mailer import claim, email_of, find, finisher
from tests.jobs.notifications import enqueue
from tests.jobs.test_sign_ups import waiting_for_a_lock
from tests.processes import wait_until

OTHER = "other@news.example"
READER = "reader@news.example"


def lock_during(container: Container, table: Any, ids: list[uuid.UUID], action: Callable[[], object]) -> None:
    """Lock the rows in the order of their ids, and run an action once the first is locked, which then waits."""
    first, *others = sorted(ids)
    with container.database.transaction() as session, ThreadPoolExecutor(1) as pool:
        session.get_one(table, first, with_for_update=True)
        running = pool.submit(action)
        wait_until(lambda: running.done() or waiting_for_a_lock(container), what="the other to wait")
        session.execute(text("SET LOCAL lock_timeout = '5s'"))
        for each in others:
            session.get_one(table, each, with_for_update=True)
        session.commit()
        running.result(timeout=60)


def emails(container: Container) -> list[OutgoingEmail]:
    with container.database.read_only() as session:
        return list(session.scalars(select(OutgoingEmail).order_by(OutgoingEmail.id)))


def test_retry_by_id_locks_all_reminders_first(container: Container, clock: FakeClock, monkeypatch) -> None:
    reminder_ids = [create_reminder(container, address) for address in (READER, OTHER)]
    # The second is due first, so that its email has the lower id.
    with container.database.transaction() as session:
        for days, reminder_id in ((1, reminder_ids[0]), (2, reminder_ids[1])):
            session.get_one(Reminder, reminder_id).due_at = clock() - datetime.timedelta(days=days)
    with container.database.transaction() as session:
        claim(session, container)
    with container.database.transaction() as session:
        session.execute(update(OutgoingEmail).values(status=EmailStatus.FAILED, leased_by=None, leased_until=None))
        session.execute(update(Reminder).values(status=ReminderStatus.FAILED))
    found = emails(container)
    assert [email.reminder_id for email in found] == reminder_ids[::-1]
    monkeypatch.setattr("service.commands.emails.get_container", lambda: container)
    lock_during(container, Reminder, reminder_ids, lambda: _retry_by_id([email.id for email in found]))
    assert [email.status for email in emails(container)] == [EmailStatus.SCHEDULED] * 2


def test_merge_locks_emails_in_the_order_of_their_ids(container: Container) -> None:
    ids = [enqueue(container, EmailKind.RECEIPT, to=READER) for _ in range(2)]
    create_reminder(container, OTHER)
    with container.database.transaction() as session:
        duplicate = session.get_one(OutgoingEmail, ids[0]).supporter_id
        assert duplicate is not None
        kept = session.scalars(select(Supporter.id).where(Supporter.id != duplicate)).one()
        # A changed row lies behind the others, and an UPDATE would reach it last.
        session.get_one(OutgoingEmail, min(ids)).lang = "ru"

    def merge() -> None:
        with container.database.transaction() as session:
            merge_supporters(session, kept=kept, duplicate=duplicate, now=container.clock())

    lock_during(container, OutgoingEmail, ids, merge)
    assert {email.supporter_id for email in emails(container)} == {kept}


def recover(container: Container) -> dict[str, int]:
    """Recover one email."""
    with container.database.transaction() as session:
        counts = delivery.recover_expired_leases(
            session, hold_uncertain=False, now=container.clock(), on_finished=finisher(container), limit=1
        )
        return dict(counts)


def test_recovery_is_not_held_up_by_emails_that_another_worker_completes(
    container: Container, clock: FakeClock
) -> None:
    create_due_emails(container, clock, EmailKind.REMINDER, count=3)
    with container.database.transaction() as session:
        claimed = sorted(each.email_id for each in claim(session, container))
    clock.advance(hours=1)
    with container.database.transaction() as session:
        session.get_one(OutgoingEmail, claimed[0], with_for_update=True)
        assert recover(container) == {"handed_back": 1}
        assert recover(container) == {"handed_back": 1}
        assert recover(container) == {}
    assert recover(container) == {"handed_back": 1}


def test_restore_guard_waits_for_reminders_and_holds_those_of_closed_campaigns(
    container: Container, clock: FakeClock
) -> None:
    reminder_ids = [create_reminder(container, address) for address in (READER, OTHER)]
    clock.advance(days=40)
    close_campaign(container.database.transaction, "default", WaitingPolicy.KEEP, now=clock())
    held: list[int] = []

    def guard() -> None:
        with container.database.transaction() as session:
            held.append(start_guard(session, sent_before=clock(), now=clock()))

    lock_during(container, Reminder, reminder_ids, guard)
    assert held == [2]
    assert all(email_of(container, reminder_id).held_at for reminder_id in reminder_ids)


def test_reminder_is_finished_as_it_is_stored_and_not_as_it_was_read(
    container: Container, clock: FakeClock
) -> None:
    create_due_emails(container, clock, EmailKind.REMINDER, count=1)
    with container.database.transaction() as session:
        claim(session, container)
    with container.database.transaction() as session:
        reminder = session.scalars(select(Reminder)).one()
        with container.database.transaction() as other:
            other.execute(update(Reminder).values(occurrence=2))
        finished = FinishedEmail(
            kind=EmailKind.REMINDER, reminder_id=reminder.id, occurrence=2, event=EmailEvent.FAIL, reason="x"
        )
        finish_reminders(session, [finished], now=clock())
        assert (reminder.occurrence, reminder.status) == (2, ReminderStatus.FAILED)
    assert find(container, reminder.id).status == ReminderStatus.FAILED
