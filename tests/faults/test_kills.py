"""Killed workers: every address gets its email, with at most one duplicate for each kill."""

import random
from pathlib import Path

import pytest

from service.container import Container
from tests.api.client import auth_headers, get_json
from tests.faults.dataset import addresses, fill, is_idle, status_counts
from tests.faults.scale import IS_FULL, SCALE, print_report
from tests.faults.smtp_sink import ACCEPT_THEN_DROP, SmtpSinkProcess
from tests.faults.workers import WorkerPool

WORKERS = 3
SEED = 20_261_123
IN_DOUBT = "in doubt: the mail was handed over but no reply is on record, so it may have arrived"


@pytest.mark.parametrize("connections", [1, 4] if IS_FULL else [1])
def test_killed_workers_lose_no_email_and_duplicate_at_most_those_in_flight(
    container: Container, url: str, sink: SmtpSinkProcess, tmp_path: Path, connections: int
) -> None:
    fill(container, SCALE.reminders)
    rng = random.Random(SEED)
    # Slow enough that emails are left when the kills happen.
    sink.delay(0.01)
    with WorkerPool(WORKERS, url, sink, tmp_path / "log", MAIL_CONNECTIONS=str(connections)) as workers:
        for number in range(SCALE.kills):
            enough = SCALE.reminders * number // (SCALE.kills + 1)
            workers.until(lambda: sink.accepted >= enough, what=f"{enough} emails")  # noqa: B023 - used at once
            if number % 2 == 0:
                workers.kill_during_send(rng)
            else:
                workers.kill_any(rng)
        workers.until(lambda: is_idle(container), what="every reminder to be finished")
    report = sink.report()
    print_report(
        f"{SCALE.reminders:,} due, {SCALE.kills} kills of {WORKERS} workers with {connections} connection(s): "
        f"{len(report.copies):,} addresses got their email, {report.duplicates} duplicates"
    )
    assert status_counts(container) == {"sent": SCALE.reminders}
    assert set(report.copies) == addresses(SCALE.reminders)
    assert report.duplicates <= SCALE.kills * connections
    # A duplicate has the same Message-ID, so that the receiving system can drop it.
    assert len({message_id for message_id, _, _ in report.mails}) == SCALE.reminders


@pytest.mark.parametrize("fault", ["hang up", "kill"] if IS_FULL else ["hang up"])
def test_held_uncertain_delivery_is_not_duplicated(
    container: Container, client, url: str, sink: SmtpSinkProcess, tmp_path: Path, fault: str
) -> None:
    fill(container, SCALE.due_with_hold)
    staff = auth_headers(container, "read", "manage")
    if fault == "hang up":
        sink.set_reply("data", ACCEPT_THEN_DROP, times=1)
    with WorkerPool(
        1 if fault == "hang up" else WORKERS, url, sink, tmp_path / "log", MAIL_IN_DOUBT="hold"
    ) as workers:
        if fault == "kill":
            workers.kill_during_send(random.Random(SEED))
        workers.until(lambda: is_idle(container), what="every reminder to be finished")
        report = sink.report()
        held = get_json(client, staff, "/v1/admin/reminders", status="failed", limit=100)["items"]
        print_report(
            f"{SCALE.due_with_hold:,} due, uncertain ones are held, 1 {fault}: "
            f"{report.duplicates} duplicates, {len(held)} held for staff"
        )
        assert report.duplicates == 0
        assert set(report.copies) == addresses(SCALE.due_with_hold)
        assert status_counts(container) == {"sent": SCALE.due_with_hold - 1, "failed": 1}
        assert [item["reason"] for item in held] == [IN_DOUBT]
        for item in held:
            assert client.post(f"/v1/admin/reminders/{item['id']}/retry", headers=staff).status_code == 200
        workers.until(lambda: is_idle(container), what="the retried reminders to be sent")
    assert status_counts(container) == {"sent": SCALE.due_with_hold}
    assert sink.report().duplicates == 1
