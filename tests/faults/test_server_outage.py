"""A mail server outage: workers back off, and then send the backlog at the rate limit."""

import time
from pathlib import Path

from sqlalchemy import func, select

from service.container import Container
from service.db.models.email import OutgoingEmail
from tests.faults.dataset import addresses, email_counts, expire_backoffs, fill, is_idle, status_counts
from tests.faults.scale import SCALE, print_report
from tests.faults.smtp_sink import SmtpSinkProcess
from tests.faults.workers import WorkerPool

WORKERS = 3


def test_circuit_breaker_spares_a_server_outage_and_backlog_is_sent_at_the_rate(
    container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    fill(container, SCALE.due_in_outage)
    with WorkerPool(WORKERS, url, sink, tmp_path / "log", MAIL_RATE=str(SCALE.mail_rate)) as workers:
        workers.until(lambda: sink.accepted > SCALE.due_in_outage // 4, what="a quarter of the emails")
        sink.close()
        workers.until(lambda: "mail_server_away" in workers.log, what="the workers to find the port closed")
        # On a busy machine, a worker may still hold emails whose slots pass before it finds the port closed.
        workers.until(lambda: "sending" not in email_counts(container), what="the workers to return their emails")
        # Each probe that finds the port closed is a line in the log.
        before = workers.log.count("mail_server_away")
        closed_at = time.monotonic()
        time.sleep(SCALE.outage_seconds)
        workers.until(lambda: workers.log.count("mail_server_away") > before, what="a worker to probe the server")
        probes, seconds_away = workers.log.count("mail_server_away") - before, time.monotonic() - closed_at
        back_at = time.time()
        sink.open()
        workers.until(lambda: is_idle(container), what="the backlog to be sent")
        after = sorted(at for _, _, at in sink.report().mails if at >= back_at)
        expire_backoffs(container)
        workers.until(lambda: is_idle(container), what="the interrupted emails to be sent")
    report = sink.report()
    seconds = after[-1] - after[0]
    rate = (len(after) - 1) / seconds
    print_report(
        f"{SCALE.due_in_outage:,} due, the mail server down for {SCALE.outage_seconds:.0f} s: {probes} "
        f"probes by {WORKERS} workers; {report.duplicates} duplicates, "
        f"then {rate:.0f} emails/s of {SCALE.mail_rate}"
    )
    assert status_counts(container) == {"sent": SCALE.due_in_outage}
    assert set(report.copies) == addresses(SCALE.due_in_outage)
    assert probes <= WORKERS * (3 + seconds_away / 10)
    assert report.duplicates <= WORKERS
    with container.database.read_only() as session:
        again = session.scalar(select(func.count()).select_from(OutgoingEmail).where(OutgoingEmail.attempts > 1))
    # Only the emails in flight when the server went down cost an attempt.
    assert again <= WORKERS
    # No email is sent before its slot, except that each worker has at most one whose slot came during the outage.
    # The delay after a slot depends on the machine.
    slots = [back_at + (number - WORKERS) / SCALE.mail_rate for number in range(len(after))]
    assert all(at >= slot - 0.01 for at, slot in zip(after, slots, strict=True))
