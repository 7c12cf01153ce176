"""Crash safety: an email is marked as sending, and that committed, before its content is sent."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import select

from schemas.enums import DeliveryOutcome, EmailKind
from service.container import Container
from service.db.models.email import OutgoingEmail
from tests.clock import FakeClock
from tests.jobs.due_emails import KINDS, create_due_emails, run_job
from tests.jobs.fake_mailer import READER, FakeMailer
from tests.jobs.test_sign_ups import waiting_for_a_lock
from tests.processes import wait_until


@pytest.mark.parametrize("kind", KINDS)
def test_email_is_not_sent_before_its_sending_mark_is_committed(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    create_due_emails(container, clock, kind, count=1)
    with ExitStack() as locks, ThreadPoolExecutor(1) as pool:

        def lock_row() -> None:
            # The row is claimed by now. While it is locked, nothing can be written to it.
            session = locks.enter_context(container.database.transaction())
            session.scalars(select(OutgoingEmail).with_for_update()).one()

        mailer = FakeMailer(on_connect=lock_row)
        try:
            running = pool.submit(run_job(kind), container, mailer)
            wait_until(
                lambda: running.done() or waiting_for_a_lock(container),
                what="the sending mark to wait for the lock",
            )
            assert not running.done()
            assert mailer.sent == []
        finally:
            locks.close()
        assert running.result(timeout=60)["sent"] == 1
    assert mailer.addresses == [READER]


def recorded_outcomes(container: Container) -> list[DeliveryOutcome]:
    """Return the recorded outcomes, as another session reads them."""
    column = OutgoingEmail.outcome
    with container.database.read_only() as session:
        return sorted(session.scalars(select(column).where(column.is_not(None))))


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
@pytest.mark.parametrize("kind", KINDS)
def test_results_are_committed_before_the_next_email_is_sent(
    request: pytest.FixtureRequest, clock: FakeClock, kind: EmailKind, database: str
) -> None:
    container = request.getfixturevalue("container" if database == "postgresql" else "sqlite_container")
    create_due_emails(container, clock, kind, count=3)
    seen: list[list[DeliveryOutcome]] = []
    run_job(kind)(container, FakeMailer(lambda _: seen.append(recorded_outcomes(container))))
    accepted, sending = DeliveryOutcome.ACCEPTED, DeliveryOutcome.SENDING
    assert seen == [[sending], [accepted, sending], [accepted, accepted, sending]]
    assert recorded_outcomes(container) == [accepted] * 3
