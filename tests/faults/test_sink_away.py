"""A mail server that is down: it is left alone, and when it is back, everything leaves at the set rate."""

import time
from pathlib import Path

from sqlalchemy import func, select

from service.container import Container
from service.db.models.email import EmailDelivery
from tests.faults.dataset import addresses, expire_backoffs, fill, is_idle, status_counts
from tests.faults.scale import SCALE, print_report
from tests.faults.smtp_sink import DROP, SmtpSinkProcess
from tests.faults.workers import WorkerPool

WORKERS = 3


def test_a_server_that_is_down_is_left_alone_and_the_backlog_leaves_at_the_rate(
    container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    fill(container, SCALE.away)
    with WorkerPool(WORKERS, url, sink, tmp_path / "log", MAIL_RATE=str(SCALE.mail_rate)) as workers:
        workers.until(lambda: sink.accepted > SCALE.away // 4, what="a quarter of the mails")
        sink.close()
        workers.until(lambda: "mail_server_away" in workers.log, what="the workers to find the port closed")
        # Something answers the door now and hangs up at once, so that every knock can be counted.
        sink.set_reply("greeting", DROP)
        before = sink.connections
        sink.open()
        opened_at = time.monotonic()
        time.sleep(SCALE.outage_seconds)
        workers.until(lambda: sink.connections > before, what="a worker to look whether it is back")
        knocks, seconds_away = sink.connections - before, time.monotonic() - opened_at
        back_at = time.time()
        sink.clear_rules()
        workers.until(lambda: is_idle(container), what="the backlog to leave")
        after = sorted(at for _, _, at in sink.report().mails if at >= back_at)
        expire_backoffs(container)
        workers.until(lambda: is_idle(container), what="what was cut off to leave as well")
    report = sink.report()
    seconds = after[-1] - after[0]
    rate = (len(after) - 1) / seconds
    print_report(
        f"{SCALE.away:,} due, the mail server away for {SCALE.outage_seconds:.0f} s: {knocks} connections by "
        f"{WORKERS} workers meanwhile; {report.duplicates} extra, then {rate:.0f} mails/s of {SCALE.mail_rate}"
    )
    assert status_counts(container) == {"sent": SCALE.away}
    assert set(report.copies) == addresses(SCALE.away)
    assert knocks <= WORKERS * (3 + seconds_away / 10)
    assert report.duplicates <= WORKERS
    with container.database.read_only() as session:
        again = session.scalar(select(func.count()).select_from(EmailDelivery).where(EmailDelivery.attempts > 1))
    # Only what was in somebody's hands when the line was cut has cost an attempt.
    assert again <= WORKERS
    # None leaves before its turn, and each worker has one at most whose turn came while the server was away. How
    # long after its turn a mail leaves is the machine's affair.
    turns = [back_at + (number - WORKERS) / SCALE.mail_rate for number in range(len(after))]
    assert all(at >= turn - 0.01 for at, turn in zip(after, turns, strict=True))
