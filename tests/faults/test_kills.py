"""Workers that are killed in the middle of it: every address has its mail, and at most one extra for each kill."""

import random
from pathlib import Path

import pytest

from service.desk import Desk
from tests.api.wire import bearer, listed
from tests.faults.due import addresses, fill, is_quiet, standing
from tests.faults.scale import IN_FULL, SCALE, say
from tests.faults.sink import FarSink
from tests.faults.workers import Workers
from tests.processes import wait_until

pytestmark = pytest.mark.xdist_group("faults")
WORKERS = 3
SEED = 20_261_123


def kill_one_with_a_mail_in_hand(sink: FarSink, workers: Workers, chance: random.Random, *, hands: int) -> None:
    """Kill a worker between the end of DATA and the reply to it, which is the one window there is."""
    sink.hold()
    wait_until(lambda: sink.in_hand == hands, what=f"{hands} mails that were handed over and not answered")
    workers.kill_one(chance)
    sink.calm()


@pytest.mark.parametrize("connections", [1, 4] if IN_FULL else [1])
def test_every_address_has_its_mail_and_at_most_one_extra_for_each_mail_in_hand(
    desk: Desk, url: str, sink: FarSink, tmp_path: Path, connections: int
) -> None:
    fill(desk, SCALE.reminders)
    chance = random.Random(SEED)
    settings = {"MAIL_URL": sink.url, "MAIL_CONNECTIONS": str(connections)}
    with Workers(WORKERS, url, tmp_path / "log", **settings) as workers:
        for number in range(SCALE.kills):
            # The last comes well before the end, so that there is something to kill.
            enough = SCALE.reminders * number // (SCALE.kills + 1)
            wait_until(lambda: sink.accepted > enough, what=f"{enough} mails", seconds=600)  # noqa: B023 - used at once
            if number % 2 == 0:
                kill_one_with_a_mail_in_hand(sink, workers, chance, hands=WORKERS * connections)
            else:
                workers.kill_one(chance)
        wait_until(lambda: is_quiet(desk), what="every reminder to be done with", seconds=600)
    report = sink.report()
    say(
        f"{SCALE.reminders:,} due, {SCALE.kills} kills of {WORKERS} workers with {connections} connection(s): "
        f"{len(report.copies):,} addresses have their mail, {report.extras} extra"
    )
    assert standing(desk) == {"sent": SCALE.reminders}
    assert set(report.copies) == addresses(SCALE.reminders)
    assert report.extras <= SCALE.kills * connections
    # An extra is the very same mail, so that a receiving system can drop it.
    assert len({message_id for message_id, _, _ in report.mails}) == SCALE.reminders


def test_what_is_in_doubt_can_be_held_for_staff_and_then_nobody_gets_two(
    desk: Desk, client, url: str, sink: FarSink, tmp_path: Path
) -> None:
    fill(desk, SCALE.held)
    chance = random.Random(SEED)
    staff = bearer(desk, "read", "manage")
    with Workers(WORKERS, url, tmp_path / "log", MAIL_URL=sink.url, MAIL_IN_DOUBT="hold") as workers:
        kill_one_with_a_mail_in_hand(sink, workers, chance, hands=WORKERS)
        wait_until(lambda: is_quiet(desk), what="every reminder to be done with", seconds=120)
        report = sink.report()
        held = listed(client, staff, "/v1/admin/reminders", status="failed", limit=100)["items"]
        assert report.extras == 0
        assert set(report.copies) == addresses(SCALE.held)
        assert standing(desk) == {"sent": SCALE.held - 1, "failed": 1}
        assert [item["reason"] for item in held] == ["?"]
        for item in held:
            assert client.post(f"/v1/admin/reminders/{item['id']}/retry", headers=staff).status_code == 200
        wait_until(lambda: is_quiet(desk), what="what staff sent back to leave")
    say(f"{SCALE.held:,} due, 1 kill, hold: {report.extras} extra, {len(held)} held for staff")
    assert standing(desk) == {"sent": SCALE.held}
    assert sink.report().extras == 1
