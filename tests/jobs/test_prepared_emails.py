"""The envelope of the next email leaves ahead; what becomes of the next email meanwhile still counts."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID

import pytest
from sqlalchemy import func, select

from jobs.emails import send_emails
from schemas.enums import DeliveryOutcome, EmailStatus
from service.bootstrap import build_container
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.ports import Email, RenderedEmail
from service.domain.reminders.transitions import cancel
from service.gateways.email import smtp_client
from service.gateways.email.renderer import EmailRenderer
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.db.factories import create_reminder
from tests.gateways.raw_smtp_server import CONTENT, ENDLESS, SILENCE, RawSmtpServer
from tests.jobs.fake_mailer import email_of, enqueue_due, run_send_reminders, status_counts, without_sending_hours
from tests.processes import wait_until

PIPELINING = ("PIPELINING", "SIZE 1000000")
COUNT = 5


@pytest.mark.parametrize("extensions", [PIPELINING, PIPELINING[1:]], ids=["pipelining", "none"])
@pytest.mark.parametrize("cancelled", [{1}, {1, 2}, {4}, {3, 4}, {1, 3}, {0}])
def test_email_that_is_cancelled_after_its_envelope_left_is_not_sent(
    container: Container, clock: FakeClock, cancelled: set[int], extensions: tuple[str, ...]
) -> None:
    ids = []
    for number in range(COUNT):
        ids.append(create_reminder(container, f"reader-{number}@news.example"))
        clock.advance(seconds=1)
    clock.advance(days=32)
    with container.database.transaction() as session:
        enqueue_due(session, container)

    def cancel_some(step: str) -> None:
        # The first email is on its way, with the envelope of the second.
        if step == CONTENT and server.count(CONTENT) == 1:
            with container.database.transaction() as session:
                for number in cancelled:
                    cancel(session, session.get_one(Reminder, ids[number], with_for_update=True), now=clock())

    with RawSmtpServer(extensions=extensions) as server:
        server.on_command = cancel_some
        counts = send_emails(connected_to(server, container, clock), threading.Event())
        addressed = [mail.split(b"To: ")[1].split(b"@")[0].decode() for mail in server.mails]
        # A cancel of the one that is being sent comes too late.
        assert addressed == [f"reader-{number}" for number in range(COUNT) if number not in cancelled - {0}]
        assert server.violations == []
    assert counts is not None
    assert counts["sent"] == COUNT - len(cancelled)


@pytest.mark.parametrize("extensions", [PIPELINING, PIPELINING[1:]], ids=["pipelining", "none"])
def test_content_leaves_after_its_mark_is_committed(
    container: Container, clock: FakeClock, extensions: tuple[str, ...]
) -> None:
    ids = []
    for number in range(COUNT):
        ids.append(create_reminder(container, f"reader-{number}@news.example"))
        clock.advance(seconds=1)
    clock.advance(days=32)
    marked: list[list[UUID | None]] = []

    def read_marks(step: str) -> None:
        if step == "DATA":
            with container.database.read_only() as session:
                sending = select(OutgoingEmail.reminder_id).where(OutgoingEmail.outcome == DeliveryOutcome.SENDING)
                marked.append(list(session.scalars(sending)))

    with RawSmtpServer(extensions=extensions) as server:
        server.on_command = read_marks
        counts = run_send_reminders(connected_to(server, container, clock))
    assert (counts["sent"], marked) == (COUNT, [[reminder_id] for reminder_id in ids])


def test_result_is_committed_while_the_server_has_not_answered_what_was_sent_ahead(
    container: Container, clock: FakeClock
) -> None:
    # More than five, because a driver that has run a statement five times prepares it, which is an exchange more.
    count = 9
    for number in range(count):
        create_reminder(container, f"reader-{number}@news.example")
    clock.advance(days=32)
    accepted: list[int] = []

    def count_accepted() -> int:
        query = select(func.count()).where(OutgoingEmail.outcome == DeliveryOutcome.ACCEPTED)
        with container.database.read_only() as session:
            return session.scalar(query) or 0

    def wait_for_result(step: str) -> None:
        """The reply to MAIL of the next email comes after the result of the last one is committed."""
        if step == "MAIL":
            sent = server.count("MAIL") - 1
            with suppress(AssertionError):
                wait_until(lambda: count_accepted() == sent, what="the result", seconds=5)
            accepted.append(count_accepted())

    with RawSmtpServer(extensions=PIPELINING[1:]) as server:
        server.on_command = wait_for_result
        run_send_reminders(connected_to(server, container, clock))
    assert accepted == list(range(count))


def connected_to(server: RawSmtpServer, container: Container, clock: FakeClock) -> Container:
    settings = settings_for(container.settings.database_url, MAIL_URL=server.url, SENDING_HOURS="any")
    mailers = build_container(settings, clock=clock).mailers
    return dataclasses.replace(without_sending_hours(container), mailers=mailers, smtp_breaker=CircuitBreaker())


def test_next_emails_are_rendered_and_announced_while_the_database_is_busy(
    container: Container, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = []
    for number in range(COUNT):
        ids.append(create_reminder(container, f"reader-{number}@news.example"))
        clock.advance(seconds=1)
    clock.advance(days=32)
    rendered: list[str] = []
    done: list[tuple[int, int]] = []
    locked = threading.Event()
    unwritable = 3
    render = EmailRenderer.render

    def render_or_fail(renderer: EmailRenderer, email: Email) -> RenderedEmail:
        rendered.append(email.to)
        if len(rendered) == unwritable:
            raise ValueError("An email that cannot be written.")
        return render(renderer, email)

    def lock_second_email() -> None:
        with container.database.transaction() as session:
            email = select(OutgoingEmail.id).where(OutgoingEmail.reminder_id == ids[1])
            session.scalars(email.with_for_update()).one()
            locked.set()
            try:
                wait_until(lambda: len(rendered) == 3 and server.count("RCPT") == 2, what="what can be done")
            finally:
                done.append((len(rendered), server.count("RCPT")))

    def block_the_statement(step: str) -> None:
        """The statement that records the first email and marks the second one waits for a lock."""
        if step == CONTENT and server.count(CONTENT) == 1:
            pool.submit(lock_second_email)
            assert locked.wait(60)

    monkeypatch.setattr(EmailRenderer, "render", render_or_fail)
    with ThreadPoolExecutor(1) as pool, RawSmtpServer(extensions=PIPELINING[1:]) as server:
        server.on_command = block_the_statement
        counts = run_send_reminders(connected_to(server, container, clock))
    # The third email was rendered, and the second one's recipient named.
    assert done == [(3, 2)]
    assert (counts["sent"], counts["failed"], len(server.mails)) == (COUNT - 1, 1, COUNT - 1)
    assert status_counts(container) == {"sent": COUNT - 1, "failed": 1}


@pytest.mark.parametrize("reply", [SILENCE, ENDLESS])
def test_server_that_takes_an_email_and_never_answers_leaves_it_in_doubt(
    container: Container, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, reply: str
) -> None:
    monkeypatch.setattr(smtp_client, "REPLY_TIMEOUT", 1)
    reminder_id = create_reminder(container, "reader@news.example")
    clock.advance(days=32)
    with ThreadPoolExecutor(1) as pool, RawSmtpServer(extensions=PIPELINING) as server:
        server.replies[CONTENT] = reply
        sending = pool.submit(run_send_reminders, connected_to(server, container, clock))
        # Without a deadline, it would not end before the server does.
        assert sending.result(timeout=60)["retried"] == 1
    email = email_of(container, reminder_id)
    assert (email.status, email.outcome, email.attempts) == (EmailStatus.SCHEDULED, DeliveryOutcome.DEFERRED, 1)
    assert email.smtp_reply == "no reply to the whole mail (TimeoutError)"
