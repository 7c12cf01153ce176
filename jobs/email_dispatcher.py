"""One connection's way with the mails: claim a few, send them one after the other, put on record what was said.

Between two mails stands one statement: what the server said of the last, and that the next is about to leave. The
mail server is told for whom that next one is while the statement is under way, but nothing of it leaves before the
statement has been committed. So a worker that dies leaves at most the mail in its hand in doubt.
"""

import datetime
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic

import structlog
from sqlalchemy.orm import Session

from jobs.email_queue import DATABASE_UNAVAILABLE, ClaimT, EmailBatch, EmailLogEvents, EmailQueue, EmailT
from schemas.enums import DeliveryOutcome
from service.container import Container
from service.domain.ports import (
    Mailer,
    PermanentFailure,
    RenderedEmail,
    SendCancelled,
    ServerMisconfigured,
    ServerUnavailable,
    TemporaryFailure,
    UncertainDelivery,
)
from service.domain.reminders.delivery import DeliveryResult

RENDERING_FAILED = (
    "could not be written: a text of its campaign cannot be filled in, or its address would forge a header; "
    "the worker's log says which"
)
SENDING_FAILED = "could not be sent: the worker's log says why"

log = structlog.get_logger()


class EmailDispatcher(Generic[ClaimT, EmailT]):
    """Sends what is due over one mailer until nothing is, or the worker is told to stop, or the server is away."""

    def __init__(
        self, container: Container, mailer: Mailer, books: EmailQueue[ClaimT, EmailT], stop: threading.Event
    ) -> None:
        self._container = container
        self._mailer = mailer
        self._stop = stop
        self._books = books
        self.counts: Counter[str] = Counter()
        self.server_error: ServerUnavailable | None = None

    def run(self) -> None:
        """Carry batch after batch."""
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="books") as db_executor:
                while not self._stop.is_set() and self.server_error is None:
                    if self._container.smtp_breaker.has_failed_recently and not self._probe_server():
                        return
                    batch = self._books.claim_batch()
                    self.counts.update(batch.prepared.finished, postponed=batch.postponed)
                    if batch.is_empty:
                        return
                    self._send_batch(batch, db_executor)
        finally:
            self._mailer.close()

    def _probe_server(self) -> bool:
        """See whether a server that was away is back before claiming; False if it is not, or nothing is due."""
        if not self._books.has_due():
            return False
        try:
            self._mailer.connect()
        except ServerUnavailable as trouble:
            self.server_error = trouble
            return False
        return True

    def _send_batch(self, batch: EmailBatch[ClaimT, EmailT], db_executor: ThreadPoolExecutor) -> None:
        claims = [claim for claim, _ in batch.prepared.emails]
        reply: DeliveryResult[ClaimT] | None = None
        try:
            if claims:
                self._mailer.connect()
            for (claim, email), slot in zip(batch.prepared.emails, batch.send_at, strict=True):
                mail = self._render(claim, email)
                if mail is None:
                    claims.remove(claim)
                    continue
                if self._wait_for_slot(slot):
                    break
                sending_marked = db_executor.submit(self._books.record_and_mark_next, reply, claim)
                reply = self._send(claim, email, mail, sending_marked)
                if self.server_error is not None:
                    break
        except ServerUnavailable as trouble:
            self.server_error = trouble
        finally:
            self.counts.update(self._books.complete_batch(reply, claims))

    def _render(self, claim: ClaimT, email: EmailT) -> RenderedEmail | None:
        """Return the mail; None if the letter cannot be made into one, which is then on record."""
        events, names = self._books.log_events, self._books.log_fields(claim)
        try:
            return self._mailer.render(email)
        except Exception:
            log.exception(events.rendering_failed, **names)
            self.counts["failed"] += self._books.fail_rendering(claim, RENDERING_FAILED)
            return None

    def _wait_for_slot(self, slot: datetime.datetime) -> bool:
        """Wait for a mail's turn; return whether the worker was told to stop meanwhile."""
        wait = (slot - self._container.clock()).total_seconds()
        return self._stop.wait(wait) if wait > 0 else self._stop.is_set()

    def _send(
        self, claim: ClaimT, email: EmailT, mail: RenderedEmail, sending_marked: Future[bool]
    ) -> DeliveryResult[ClaimT] | None:
        """Send a mail once it is begun; return what became of it, or None if there is nothing to put on record."""
        events, names = self._books.log_events, self._books.log_fields(claim)
        try:
            words = self._mailer.send(mail, before_data=sending_marked.result)
        except SendCancelled:
            return None
        except ServerUnavailable as trouble:
            self.server_error = trouble
            needs_somebody = isinstance(trouble, ServerMisconfigured)
            outcome = DeliveryOutcome.NOT_ATTEMPTED if needs_somebody else DeliveryOutcome.DEFERRED
            words = str(trouble)
        except UncertainDelivery as error:
            log.warning(events.in_doubt, **names, reason=str(error))
            if self._container.settings.mail.hold_uncertain:
                return None
            outcome, words = DeliveryOutcome.DEFERRED, str(error)
        except TemporaryFailure as error:
            log.warning(events.delayed, **names, reason=str(error))
            outcome, words = DeliveryOutcome.DEFERRED, str(error)
        except PermanentFailure as error:
            log.warning(events.refused, **names, reason=str(error))
            if error.is_hard_bounce:
                self._books.suppress_address(email.to)
            outcome, words = DeliveryOutcome.REJECTED, str(error)
        except DATABASE_UNAVAILABLE:
            # This is no fault of the mail itself, nor of the mail server.
            raise
        except Exception:
            log.exception(events.failed, **names)
            outcome, words = DeliveryOutcome.REJECTED, SENDING_FAILED
        else:
            outcome = DeliveryOutcome.ACCEPTED
            self._container.smtp_breaker.record_success()
            log.debug(events.sent, **names)
        return DeliveryResult(claim, outcome, words) if sending_marked.result() else None


def run_dispatchers(
    container: Container,
    dispatchers: Sequence[EmailDispatcher[ClaimT, EmailT]],
    *,
    events: EmailLogEvents,
    recover_own_leases: Callable[[Session], Counter[str]],
) -> Mapping[str, int] | None:
    """Send what is due, the longest due first; return how many mails came to which end.

    None while a mail server that was away is left alone. `recover_own_leases` settles some of what this worker
    holds although
    no run of it is under way, as after an error in the middle of one.

    Raises:
        ServerUnavailable, ServerMisconfigured: no mail can leave; what was not sent waits, at no cost to it.
    """
    if not container.smtp_breaker.allows_request(container.clock()):
        return None
    counts: Counter[str] = Counter()
    while True:
        with container.database.transaction() as session:
            some = recover_own_leases(session)
        counts.update(some)
        if not some:
            break
    with ThreadPoolExecutor(len(dispatchers), thread_name_prefix="carrier") as pool:
        runs = [pool.submit(dispatcher.run) for dispatcher in dispatchers]
    for dispatcher in dispatchers:
        counts.update(dispatcher.counts)
    if counts.total():
        log.info(events.batch_sent, **{name: count for name, count in counts.items() if count})
    for run in runs:
        run.result()
    for trouble in (dispatcher.server_error for dispatcher in dispatchers):
        if trouble is not None:
            needs_operator = isinstance(trouble, ServerMisconfigured)
            container.smtp_breaker.record_failure(container.clock(), needs_operator=needs_operator)
            say = log.error if needs_operator else log.warning
            say("mail_server_refuses_us" if needs_operator else "mail_server_away", reason=str(trouble))
            raise trouble
    return counts
