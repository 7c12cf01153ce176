"""Workers that are killed with receipts due: everybody has each, and at most one extra for each mail in hand."""

import random
from pathlib import Path

from schemas.vocabulary import NotificationKind, NotificationStatus
from service.desk import Container
from tests.faults.scale import SCALE, say
from tests.faults.sink import FarSink
from tests.faults.workers import Workers
from tests.jobs.notices import put, standing

SEED = 20_261_123


def test_every_receipt_arrives_and_at_most_one_extra_for_each_mail_in_hand(
    container: Container, url: str, sink: FarSink, tmp_path: Path
) -> None:
    readers = {f"reader-{number}@news.example" for number in range(SCALE.receipts)}
    for reader in sorted(readers):
        put(container, NotificationKind.RECEIPT, to=reader)
    chance = random.Random(SEED)
    # Slow enough that the kills come while there is something left to do.
    sink.slow(0.02)
    with Workers(2, url, sink, tmp_path / "log") as workers:
        for number in range(SCALE.kills):
            enough = SCALE.receipts * number // (SCALE.kills + 1)
            workers.until(lambda: sink.accepted >= enough, what=f"{enough} mails")  # noqa: B023 - used at once
            if number % 2 == 0:
                workers.kill_one_with_a_mail_in_hand(chance)
            else:
                workers.kill_any(chance)
        workers.until(
            lambda: standing(container) == {NotificationStatus.SENT: SCALE.receipts}, what="all to leave"
        )
        log = workers.log
    report = sink.report()
    say(f"{SCALE.receipts:,} receipts due, {SCALE.kills} kills of 2 workers: {report.extras} extra")
    assert set(report.copies) == readers
    assert report.extras <= SCALE.kills
    # An extra is the very same mail, so that a receiving system can drop it.
    assert len({message_id for message_id, _, _ in report.mails}) == SCALE.receipts
    assert not {name.lower() for name in report.header_names} & {"list-unsubscribe", "list-unsubscribe-post"}
    assert "news.example" not in log
