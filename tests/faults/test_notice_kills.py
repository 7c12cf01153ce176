"""Workers that are killed with receipts due: everybody has each, and at most one extra for each mail in hand."""

import random
from pathlib import Path

from schemas.enums import NotificationKind, NotificationStatus
from service.container import Container
from tests.faults.scale import SCALE, print_report
from tests.faults.smtp_sink import SmtpSinkProcess
from tests.faults.workers import WorkerPool
from tests.jobs.notifications import enqueue, status_counts

SEED = 20_261_123


def test_every_receipt_arrives_and_at_most_one_extra_for_each_mail_in_hand(
    container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    readers = {f"reader-{number}@news.example" for number in range(SCALE.receipts)}
    for reader in sorted(readers):
        enqueue(container, NotificationKind.RECEIPT, to=reader)
    chance = random.Random(SEED)
    # Slow enough that the kills come while there is something left to do.
    sink.delay(0.02)
    with WorkerPool(2, url, sink, tmp_path / "log") as workers:
        for number in range(SCALE.kills):
            enough = SCALE.receipts * number // (SCALE.kills + 1)
            workers.until(lambda: sink.accepted >= enough, what=f"{enough} mails")  # noqa: B023 - used at once
            if number % 2 == 0:
                workers.kill_during_send(chance)
            else:
                workers.kill_any(chance)
        workers.until(
            lambda: status_counts(container) == {NotificationStatus.SENT: SCALE.receipts}, what="all to leave"
        )
        log = workers.log
    report = sink.report()
    print_report(f"{SCALE.receipts:,} receipts due, {SCALE.kills} kills of 2 workers: {report.duplicates} extra")
    assert set(report.copies) == readers
    assert report.duplicates <= SCALE.kills
    # An extra is the very same mail, so that a receiving system can drop it.
    assert len({message_id for message_id, _, _ in report.mails}) == SCALE.receipts
    assert not {name.lower() for name in report.header_names} & {"list-unsubscribe", "list-unsubscribe-post"}
    assert "news.example" not in log
