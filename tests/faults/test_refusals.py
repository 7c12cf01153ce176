"""What a mail server can say besides yes: each answer has a consequence of its own, for the mail it is about."""

import datetime
from pathlib import Path

from sqlalchemy import func, select

from schemas.vocabulary import DeliveryOutcome, ReminderStatus, SuppressionReason
from service.db.delivery import Delivery
from service.db.reminder import Reminder
from service.desk import Container, utc_now
from service.domain.mail.backoff import MOST_ATTEMPTS, longest_pause_after
from service.domain.suppression import suppressions_of
from tests.faults.due import address, addresses, fill, is_quiet, let_the_pauses_pass, standing
from tests.faults.sink import DROP, TAKE_AND_DROP, FarSink
from tests.faults.workers import Workers

COUNT = 40
UNKNOWN, REFUSED, LATER, LAST_TRY, CUT_OFF, TAKEN, GOODBYE = range(5, COUNT, 5)


def tried_before(container: Container, reminder_id: object, attempts: int) -> None:
    """Leave behind what so many attempts would have, each of which the server put off."""
    row = {"reminder_id": reminder_id, "occurrence": 1, "lease_number": 0, "attempts": attempts}
    with container.database.transaction() as session:
        session.add(Delivery(**row, outcome=DeliveryOutcome.DEFERRED, began_at=utc_now(), ended_at=utc_now()))


def find(container: Container, reminder_id: object) -> tuple[Reminder, Delivery]:
    with container.database.read_only() as session:
        return session.get_one(Reminder, reminder_id), session.get_one(Delivery, (reminder_id, 1))


def test_each_refusal_has_its_own_consequence_and_keeps_no_other_mail_back(
    container: Container, url: str, sink: FarSink, tmp_path: Path
) -> None:
    ids = fill(container, COUNT)
    tried_before(container, ids[LATER], 3)
    tried_before(container, ids[LAST_TRY], MOST_ATTEMPTS - 1)
    sink.rule("recipient", "550 5.1.1 no such user", to=address(UNKNOWN))
    sink.rule("data", "554 5.7.1 looks like spam", to=address(REFUSED))
    sink.rule("recipient", "450 4.2.1 come back later", to=address(LATER))
    sink.rule("recipient", "450 4.2.1 come back later", to=address(LAST_TRY))
    sink.rule("data", DROP, to=address(CUT_OFF), times=1)
    sink.rule("data", TAKE_AND_DROP, to=address(TAKEN), times=1)
    sink.rule("data", "421 4.3.2 closing for the night", to=address(GOODBYE), times=1)
    with Workers(1, url, sink, tmp_path / "log") as workers:
        workers.until(lambda: is_quiet(container), what="every reminder to be tried")
        # Put off once more, for a longer while than the last time: anything up to the longest pause.
        reminder, delivery = find(container, ids[LATER])
        assert (reminder.status, reminder.attempts, delivery.attempts) == (ReminderStatus.SCHEDULED, 4, 4)
        assert reminder.due_at - delivery.ended_at <= longest_pause_after(4) + datetime.timedelta(minutes=5)
        assert "450" in reminder.reason
        sink.calm()
        let_the_pauses_pass(container)
        workers.until(lambda: is_quiet(container), what="what was put off to leave")
        log = workers.log
    failed = {UNKNOWN: "550", REFUSED: "554", LAST_TRY: "450"}
    for number, code in failed.items():
        reminder, _ = find(container, ids[number])
        assert (reminder.status, code in reminder.reason) == (ReminderStatus.FAILED, True)
    assert find(container, ids[LAST_TRY])[1].attempts == MOST_ATTEMPTS
    assert standing(container) == {"sent": COUNT - len(failed), "failed": len(failed)}
    report = sink.report()
    assert set(report.copies) == addresses(COUNT) - {address(number) for number in failed}
    # Only who was taken without our hearing of it has it twice, and both are one and the same mail.
    assert {to for to, copies in report.copies.items() if copies > 1} == {address(TAKEN)}
    assert len(set(report.ids_for(address(TAKEN)))) == 1
    with container.database.read_only() as session:
        dead = [number for number in range(COUNT) if suppressions_of(session, address(number))]
        assert dead == [UNKNOWN]
        [row] = suppressions_of(session, address(UNKNOWN))
        assert (row.reason, row.scope) == (SuppressionReason.HARD_BOUNCE, "*")
    assert "@news.example" not in log


def test_a_server_that_refuses_our_login_stops_the_run_and_costs_no_reminder_an_attempt(
    container: Container, url: str, sink: FarSink, tmp_path: Path
) -> None:
    fill(container, COUNT)
    sink.rule("login", "535 5.7.8 wrong name or password")
    with Workers(1, url, sink, tmp_path / "log") as workers:
        workers.until(lambda: "mail_server_refuses_us" in workers.log, what="the alarm in the log")
        workers.until(lambda: standing(container) == {"scheduled": COUNT}, what="every reminder to be handed back")
        assert "535" in workers.log
        assert "password@" not in workers.log
    assert sink.connections == 1
    with container.database.read_only() as session:
        assert session.scalar(select(func.sum(Reminder.attempts))) == 0
        assert session.scalar(select(func.count()).select_from(Delivery)) == 0
    # Somebody mends it and starts the worker anew.
    sink.calm()
    with Workers(1, url, sink, tmp_path / "log") as workers:
        workers.until(lambda: is_quiet(container), what="every reminder to be sent")
    assert standing(container) == {"sent": COUNT}
    assert sink.report().extras == 0
