"""Workers that are killed in the middle of it: every address has its mail, and at most one extra for each kill."""

import random
from pathlib import Path

import pytest

from service.desk import Container
from tests.api.wire import bearer, listed
from tests.faults.due import addresses, fill, is_quiet, standing
from tests.faults.scale import IN_FULL, SCALE, say
from tests.faults.sink import TAKE_AND_DROP, FarSink
from tests.faults.workers import Workers

WORKERS = 3
SEED = 20_261_123
IN_DOUBT = "in doubt: the mail was handed over but no reply is on record, so it may have arrived"


@pytest.mark.parametrize("connections", [1, 4] if IN_FULL else [1])
def test_every_address_has_its_mail_and_at_most_one_extra_for_each_mail_in_hand(
    container: Container, url: str, sink: FarSink, tmp_path: Path, connections: int
) -> None:
    fill(container, SCALE.reminders)
    chance = random.Random(SEED)
    # Slow enough that the kills come while there is something left to do.
    sink.slow(0.01)
    with Workers(WORKERS, url, sink, tmp_path / "log", MAIL_CONNECTIONS=str(connections)) as workers:
        for number in range(SCALE.kills):
            enough = SCALE.reminders * number // (SCALE.kills + 1)
            workers.until(lambda: sink.accepted >= enough, what=f"{enough} mails")  # noqa: B023 - used at once
            if number % 2 == 0:
                workers.kill_one_with_a_mail_in_hand(chance)
            else:
                workers.kill_any(chance)
        workers.until(lambda: is_quiet(container), what="every reminder to be done with")
    report = sink.report()
    say(
        f"{SCALE.reminders:,} due, {SCALE.kills} kills of {WORKERS} workers with {connections} connection(s): "
        f"{len(report.copies):,} addresses have their mail, {report.extras} extra"
    )
    assert standing(container) == {"sent": SCALE.reminders}
    assert set(report.copies) == addresses(SCALE.reminders)
    assert report.extras <= SCALE.kills * connections
    # An extra is the very same mail, so that a receiving system can drop it.
    assert len({message_id for message_id, _, _ in report.mails}) == SCALE.reminders


@pytest.mark.parametrize("fault", ["hang up", "kill"] if IN_FULL else ["hang up"])
def test_what_is_in_doubt_can_be_held_for_staff_and_then_nobody_gets_two(
    container: Container, client, url: str, sink: FarSink, tmp_path: Path, fault: str
) -> None:
    fill(container, SCALE.held)
    staff = bearer(container, "read", "manage")
    if fault == "hang up":
        sink.rule("data", TAKE_AND_DROP, times=1)
    with Workers(
        1 if fault == "hang up" else WORKERS, url, sink, tmp_path / "log", MAIL_IN_DOUBT="hold"
    ) as workers:
        if fault == "kill":
            workers.kill_one_with_a_mail_in_hand(random.Random(SEED))
        workers.until(lambda: is_quiet(container), what="every reminder to be done with")
        report = sink.report()
        held = listed(client, staff, "/v1/admin/reminders", status="failed", limit=100)["items"]
        say(f"{SCALE.held:,} due, in doubt is held, 1 {fault}: {report.extras} extra, {len(held)} held for staff")
        assert report.extras == 0
        assert set(report.copies) == addresses(SCALE.held)
        assert standing(container) == {"sent": SCALE.held - 1, "failed": 1}
        assert [item["reason"] for item in held] == [IN_DOUBT]
        for item in held:
            assert client.post(f"/v1/admin/reminders/{item['id']}/retry", headers=staff).status_code == 200
        workers.until(lambda: is_quiet(container), what="what staff sent back to leave")
    assert standing(container) == {"sent": SCALE.held}
    assert sink.report().extras == 1
