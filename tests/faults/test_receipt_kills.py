"""Killed workers with receipts due: every receipt is sent, with at most one duplicate for each kill."""

import random
from pathlib import Path

from schemas.enums import EmailKind, EmailStatus
from service.container import Container
from tests.faults.scale import SCALE, print_report
from tests.faults.smtp_sink import SmtpSinkProcess
from tests.faults.workers import WorkerPool
from tests.jobs.notifications import enqueue, status_counts

SEED = 20_261_123


def test_killed_workers_lose_no_receipt_and_duplicate_at_most_those_in_flight(
    container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    readers = {f"reader-{number}@news.example" for number in range(SCALE.receipts)}
    for reader in sorted(readers):
        enqueue(container, EmailKind.RECEIPT, to=reader)
    rng = random.Random(SEED)
    # Slow enough that emails are left when the kills happen.
    sink.delay(0.02)
    with WorkerPool(2, url, sink, tmp_path / "log") as workers:
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
        f"{SCALE.receipts:,} receipts due, {SCALE.kills} kills of 2 workers: {report.duplicates} duplicates"
    )
    assert set(report.copies) == readers
    assert report.duplicates <= SCALE.kills
    # A duplicate has the same Message-ID, so that the receiving system can drop it.
    assert len({message_id for message_id, _, _ in report.mails}) == SCALE.receipts
    assert not {name.lower() for name in report.header_names} & {"list-unsubscribe", "list-unsubscribe-post"}
    assert "news.example" not in log
