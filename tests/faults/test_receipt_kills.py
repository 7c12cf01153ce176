"""Killed workers with receipts due: every one is sent, with at most one duplicate for each connection killed.

A worker sends receipts over its connections for all emails and over the one for urgent emails.
"""

import random
from pathlib import Path

import pytest
from sqlalchemy import select

from schemas.enums import EmailKind, EmailStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.domain.email.delivery import UNCERTAIN
from tests.cli import run_cli
from tests.faults.dataset import addresses, is_idle
from tests.faults.scale import IS_FULL, SCALE, print_report
from tests.faults.smtp_sink import ACCEPT_THEN_DROP, SmtpSinkProcess
from tests.faults.workers import WorkerPool
from tests.jobs.notifications import enqueue, status_counts
from tests.processes import KEYS

SEED = 20_261_123
WORKERS = 2
# One for all emails, and one for urgent emails.
CONNECTIONS = 2


def enqueue_receipts(container: Container, count: int) -> set[str]:
    """Enqueue a receipt for each of `count` readers; return their addresses."""
    readers = addresses(count)
    for reader in sorted(readers):
        enqueue(container, EmailKind.RECEIPT, to=reader)
    return readers


def test_killed_workers_lose_no_receipt_and_duplicate_at_most_those_in_flight(
    container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    readers = enqueue_receipts(container, SCALE.receipts)
    rng = random.Random(SEED)
    # Slow enough that emails are left when the kills happen.
    sink.delay(0.02)
    with WorkerPool(WORKERS, url, sink, tmp_path / "log") as workers:
        for number in range(SCALE.kills):
            enough = SCALE.receipts * number // (SCALE.kills + 1)
            workers.until(lambda: sink.accepted >= enough, what=f"{enough} emails")  # noqa: B023 - used at once
            if number % 2 == 0:
                workers.kill_during_send(rng)
            else:
                workers.kill_any(rng)
        workers.until(
            lambda: status_counts(container) == {EmailStatus.SENT: SCALE.receipts},
            what="the receipts to be sent",
        )
        log = workers.log
    report = sink.report()
    print_report(
        f"{SCALE.receipts:,} receipts due, {SCALE.kills} kills of {WORKERS} workers: "
        f"{len(report.copies):,} readers got theirs, {report.duplicates} duplicates"
    )
    assert set(report.copies) == readers
    assert report.duplicates <= SCALE.kills * CONNECTIONS
    # A duplicate has the same Message-ID, so that the receiving system can drop it.
    assert len({message_id for message_id, _, _ in report.mails}) == SCALE.receipts
    assert not {name.lower() for name in report.header_names} & {"list-unsubscribe", "list-unsubscribe-post"}
    assert "news.example" not in log


@pytest.mark.parametrize("fault", ["hang up", "kill"] if IS_FULL else ["hang up"])
def test_held_uncertain_receipt_is_sent_again_only_by_staff(
    container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path, fault: str
) -> None:
    count = min(SCALE.due_with_hold, SCALE.receipts)
    readers = enqueue_receipts(container, count)
    if fault == "hang up":
        sink.set_reply("data", ACCEPT_THEN_DROP, times=1)
    number = 1 if fault == "hang up" else WORKERS
    with WorkerPool(number, url, sink, tmp_path / "log", MAIL_IN_DOUBT="hold") as workers:
        if fault == "kill":
            workers.kill_during_send(random.Random(SEED))
        workers.until(lambda: is_idle(container), what="every receipt to be finished")
        report = sink.report()
        with container.database.read_only() as session:
            held = session.scalars(select(OutgoingEmail).where(OutgoingEmail.status == EmailStatus.FAILED)).all()
        print_report(
            f"{count:,} receipts due, uncertain ones are held, 1 {fault}: {report.duplicates} duplicates, "
            f"{len(held)} held for staff"
        )
        assert report.duplicates == 0
        # A second email in hand was begun, and may not have arrived.
        missing = readers - set(report.copies)
        assert set(report.copies) <= readers
        # A kill may hit a worker with an email in hand on each of its connections.
        assert 1 <= len(held) <= (1 if fault == "hang up" else CONNECTIONS)
        assert len(missing) < len(held)
        assert {email.reason for email in held} == {UNCERTAIN}
        assert status_counts(container) == {"sent": count - len(held), "failed": len(held)}
        retried = run_cli(
            "emails",
            "retry",
            *(str(email.id) for email in held),
            DATABASE_URL=container.settings.database_url,
            SECRET_KEYS=KEYS,
        )
        assert retried.exit_code == 0, retried.stderr
        workers.until(lambda: status_counts(container) == {"sent": count}, what="the retried receipts to be sent")
    report = sink.report()
    assert set(report.copies) == readers
    assert report.duplicates == len(held) - len(missing)
    assert len({message_id for message_id, _, _ in report.mails}) == count
