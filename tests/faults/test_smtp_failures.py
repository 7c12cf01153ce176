"""SMTP failures: each has its own consequence, for its own email."""

import datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from schemas.enums import DeliveryOutcome, EmailStatus, ReminderStatus, SuppressionReason
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.domain.email.delivery import MAX_ATTEMPTS, max_backoff
from service.domain.email.suppression import suppressions_for
from tests.db.factories import record_delivery
from tests.faults.dataset import address, addresses, email_counts, expire_backoffs, fill, is_idle, status_counts
from tests.faults.smtp_sink import ACCEPT_THEN_DROP, DROP, SmtpSinkProcess
from tests.faults.workers import WorkerPool
from tests.jobs.fake_mailer import email_of

COUNT = 40
UNKNOWN, REFUSED, DEFERRED, LAST_ATTEMPT, DROPPED, ACCEPTED_THEN_DROPPED, SERVICE_CLOSING = range(5, COUNT, 5)


def add_attempts(container: Container, reminder_id: object, attempts: int) -> None:
    """Put its email into the outbox after `attempts` deferred attempts, due again."""
    record_delivery(container, reminder_id, outcome=DeliveryOutcome.DEFERRED, status=EmailStatus.SCHEDULED)
    with container.database.transaction() as session:
        of_reminder = OutgoingEmail.reminder_id == reminder_id
        session.execute(update(OutgoingEmail).where(of_reminder).values(attempts=attempts))


def find(container: Container, reminder_id: object) -> tuple[Reminder, OutgoingEmail]:
    with container.database.read_only() as session:
        return session.get_one(Reminder, reminder_id), email_of(container, reminder_id)


def test_each_smtp_failure_affects_its_own_email_only(
    container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    ids = fill(container, COUNT)
    add_attempts(container, ids[DEFERRED], 3)
    add_attempts(container, ids[LAST_ATTEMPT], MAX_ATTEMPTS - 1)
    sink.set_reply("recipient", "550 5.1.1 no such user", to=address(UNKNOWN))
    sink.set_reply("data", "554 5.7.1 looks like spam", to=address(REFUSED))
    sink.set_reply("recipient", "450 4.2.1 come back later", to=address(DEFERRED))
    sink.set_reply("recipient", "450 4.2.1 come back later", to=address(LAST_ATTEMPT))
    sink.set_reply("data", DROP, to=address(DROPPED), times=1)
    sink.set_reply("data", ACCEPT_THEN_DROP, to=address(ACCEPTED_THEN_DROPPED), times=1)
    sink.set_reply("data", "421 4.3.2 closing for the night", to=address(SERVICE_CLOSING), times=1)
    with WorkerPool(1, url, sink, tmp_path / "log") as workers:
        workers.until(lambda: is_idle(container), what="every reminder to be attempted")
        # Deferred once more, with a backoff up to its maximum.
        reminder, email = find(container, ids[DEFERRED])
        assert (reminder.status, email.status, email.attempts) == (
            ReminderStatus.SENDING,
            EmailStatus.SCHEDULED,
            4,
        )
        assert email.due_at - email.finished_at <= max_backoff(4) + datetime.timedelta(minutes=5)
        assert "450" in email.reason
        sink.clear_rules()
        expire_backoffs(container)
        workers.until(lambda: is_idle(container), what="the deferred emails to be sent")
        log = workers.log
    failed = {UNKNOWN: "550", REFUSED: "554", LAST_ATTEMPT: "450"}
    for number, code in failed.items():
        reminder, email = find(container, ids[number])
        assert (reminder.status, email.status) == (ReminderStatus.FAILED, EmailStatus.FAILED)
        assert code in reminder.reason
        assert email.reason == reminder.reason
    assert find(container, ids[LAST_ATTEMPT])[1].attempts == MAX_ATTEMPTS
    assert status_counts(container) == {"sent": COUNT - len(failed), "failed": len(failed)}
    report = sink.report()
    assert set(report.copies) == addresses(COUNT) - {address(number) for number in failed}
    # Only the accepted email without a reply is duplicated, with the same Message-ID.
    assert {to for to, copies in report.copies.items() if copies > 1} == {address(ACCEPTED_THEN_DROPPED)}
    assert len(set(report.ids_for(address(ACCEPTED_THEN_DROPPED)))) == 1
    with container.database.read_only() as session:
        dead = [number for number in range(COUNT) if suppressions_for(session, address(number))]
        assert dead == [UNKNOWN]
        [row] = suppressions_for(session, address(UNKNOWN))
        assert (row.reason, row.scope) == (SuppressionReason.HARD_BOUNCE, "*")
    assert "@news.example" not in log


def test_refused_login_stops_the_run_and_costs_no_attempt(
    container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    fill(container, COUNT)
    sink.set_reply("login", "535 5.7.8 wrong name or password")
    with WorkerPool(1, url, sink, tmp_path / "log") as workers:
        workers.until(lambda: "mail_server_refuses_us" in workers.log, what="the alarm in the log")
        workers.until(
            lambda: email_counts(container) == {"scheduled": COUNT}, what="every email to be handed back"
        )
        assert "535" in workers.log
        assert "password@" not in workers.log
    assert sink.connections == 1
    with container.database.read_only() as session:
        assert session.scalar(select(func.sum(OutgoingEmail.attempts))) == 0
    # An operator fixes the server and restarts the worker.
    sink.clear_rules()
    with WorkerPool(1, url, sink, tmp_path / "log") as workers:
        workers.until(lambda: is_idle(container), what="every reminder to be sent")
    assert status_counts(container) == {"sent": COUNT}
    assert sink.report().duplicates == 0


@pytest.mark.parametrize(
    ("at", "reply", "reason"),
    [
        (
            "ehlo",
            "421 4.7.1 Your name has no address",
            "EHLO desk.paper.example: 421 4.7.1 Your name has no address",
        ),
        ("ehlo", DROP, "EHLO desk.paper.example: closed without a reply; before that greeting: 220 sink.test"),
        ("greeting", DROP, "greeting: closed without a reply"),
    ],
)
def test_connection_refused_three_times_stops_the_run_and_costs_no_attempt(
    container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path, at: str, reply: str, reason: str
) -> None:
    fill(container, COUNT)
    sink.set_reply(at, reply)
    with WorkerPool(1, url, sink, tmp_path / "log", MAIL_EHLO="desk.paper.example") as workers:
        workers.until(lambda: "mail_server_refuses_us" in workers.log, what="the alarm in the log")
        log = workers.log
    assert sink.connections == 3
    assert f"the server refuses us ({reason}" in log
    assert log.count(f"cannot connect ({reason}") >= 2
    assert email_counts(container) == {"scheduled": COUNT}
    with container.database.read_only() as session:
        assert session.scalar(select(func.max(OutgoingEmail.attempts))) == 0
    # An operator sets another name and restarts the worker.
    sink.clear_rules()
    with WorkerPool(1, url, sink, tmp_path / "log") as workers:
        workers.until(lambda: is_idle(container), what="every reminder to be sent")
    assert status_counts(container) == {"sent": COUNT}
    assert sink.report().duplicates == 0
