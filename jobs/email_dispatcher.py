"""Sending a queue of emails: one dispatcher for each connection claims batches and sends them one by one.

Between any two emails there is one statement, which records the result of the first and marks the second as
sending. It is committed as soon as the reply to the first is read; the mail server may have the envelope of the
second by then, and gets no content before. A worker that dies therefore leaves at most one email whose delivery is
uncertain.
"""

import datetime
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import structlog

from jobs.email_queue import DATABASE_ERRORS, EmailBatch, EmailQueue, log_fields
from schemas.enums import DeliveryOutcome
from service.container import Container
from service.domain.email.delivery import DeliveryResult
from service.domain.email.queue import EmailClaim
from service.domain.ports import (
    Email,
    Mailer,
    PermanentFailure,
    RenderedEmail,
    ServerMisconfigured,
    ServerUnavailable,
    TemporaryFailure,
    UncertainDelivery,
)

RENDERING_FAILED = (
    "could not be written: a text of its campaign cannot be filled in, or its address would forge a header; "
    "the worker's log says which"
)
SENDING_FAILED = "could not be sent: the worker's log says why"

# The server holds the envelope of the next email so long at most.
MAX_PREPARED_AHEAD = datetime.timedelta(seconds=2)
# How often a dispatcher that found nothing due looks again, while others of its run are sending.
IDLE_SECONDS = 0.5

log = structlog.get_logger()


class NextEmail(NamedTuple):
    """An email that is ready to be sent from `send_at` on."""

    claim: EmailClaim
    email: Email
    message: RenderedEmail
    send_at: datetime.datetime


class RenderedEmails:
    """The emails of a batch in their order, rendered ahead of their turn; `failed` are those that cannot be."""

    def __init__(self, batch: EmailBatch, mailer: Mailer) -> None:
        self.failed: list[EmailClaim] = []
        self._waiting = deque(zip(batch.emails, batch.send_at, strict=True))
        self._ready: deque[NextEmail] = deque()
        self._mailer = mailer

    def take(self) -> NextEmail | None:
        """Return the next email and remove it; None if all were taken."""
        return self._ready.popleft() if self.following() else None

    def following(self) -> NextEmail | None:
        """Return the next email."""
        while self._waiting and not self._ready:
            self.render_next()
        return self._ready[0] if self._ready else None

    def render_next(self) -> None:
        """Render the next email if it is not rendered yet; there is time for it while the database is busy."""
        if self._ready or not self._waiting:
            return
        (claim, email), send_at = self._waiting.popleft()
        try:
            self._ready.append(NextEmail(claim, email, self._mailer.render(email), send_at))
        except Exception:
            log.exception("email_unwritable", **log_fields(claim))
            self.failed.append(claim)


class DispatchRun:
    """What the dispatchers of a run share. It is over once none of them finds anything due.

    One without work stays while others have some, because more may fall due before they end, and only a run that
    has ended is followed by another.
    """

    def __init__(self, dispatchers: int) -> None:
        self._working = dispatchers
        self._lock = threading.Lock()
        self._over = threading.Event()

    def leave(self) -> None:
        """Count one working dispatcher fewer."""
        with self._lock:
            self._working -= 1
            if not self._working:
                self._over.set()

    def wait_for_more(self) -> bool:
        """Wait a moment for more emails to fall due; return False if the run is over."""
        self.leave()
        self._over.wait(IDLE_SECONDS)
        with self._lock:
            self._working += 1
            return not self._over.is_set()


class EmailDispatcher:
    """Sends the due emails of a queue over one mailer until none is due, the worker stops or the server is down.

    `counts` has the emails by outcome; `server_error` is what the mail server failed with, if it did.
    """

    def __init__(
        self,
        container: Container,
        mailer: Mailer,
        queue: EmailQueue,
        stop: threading.Event,
        run: DispatchRun,
    ) -> None:
        self._container = container
        self._mailer = mailer
        self._queue = queue
        self._stop = stop
        self._run = run
        self.counts: Counter[str] = Counter()
        self.server_error: ServerUnavailable | None = None

    def run(self) -> None:
        """Send batch after batch."""
        try:
            while not self._stop.is_set() and self.server_error is None:
                if not self._send_next_batch() and not self._run.wait_for_more():
                    return
        finally:
            self._run.leave()
            self._mailer.close()

    def _send_next_batch(self) -> bool:
        """Send a batch; return False if nothing was due."""
        if self._container.smtp_breaker.has_failed_recently and not self._probe_server():
            return False
        batch = self._queue.claim_batch()
        self.counts.update(batch.unsent)
        if not batch.is_empty:
            self._send_batch(batch)
        return not batch.is_empty

    def _probe_server(self) -> bool:
        """Probe a server that was down before anything is claimed; False if it still is, or nothing is due."""
        if not self._queue.has_due():
            return False
        try:
            self._mailer.connect()
        except ServerUnavailable as error:
            self.server_error = error
            return False
        return True

    def _send_batch(self, batch: EmailBatch) -> None:
        claims = [claim for claim, _ in batch.emails]
        rendered = RenderedEmails(batch, self._mailer)
        claimed_at, started = self._container.clock(), time.monotonic()
        result: DeliveryResult | None = None

        def meanwhile() -> None:
            self._mailer.send_ahead()
            rendered.render_next()

        try:
            if claims:
                self._mailer.connect()
            with self._queue.driver_connection() as connection:
                while (ready := rendered.take()) is not None:
                    claim, email, message, send_at = ready
                    # By the monotonic clock, because the other may be set back meanwhile.
                    now = claimed_at + datetime.timedelta(seconds=time.monotonic() - started)
                    if result is not None and send_at > now:
                        # Not left unrecorded until then, because a crash meanwhile would repeat the email.
                        self._queue.record_result(result)
                        result = None
                    if not self._wait((send_at - now).total_seconds()):
                        break
                    is_held = self._queue.record_and_mark_next(connection, result, claim, meanwhile=meanwhile)
                    result = None
                    if not is_held:
                        continue
                    following = rendered.following()
                    if following is not None and following.send_at - now <= MAX_PREPARED_AHEAD:
                        self._mailer.prepare(following.message)
                    result = self._send(claim, email, message)
                    if self.server_error is not None:
                        break
        except ServerUnavailable as error:
            self.server_error = error
        finally:
            written = [claim for claim in claims if claim not in rendered.failed]
            self.counts.update(self._queue.complete_batch(result, written))
            for claim in rendered.failed:
                self.counts["failed"] += self._queue.fail_rendering(claim, RENDERING_FAILED)

    def _wait(self, seconds: float) -> bool:
        """Wait; return False if the worker was stopped meanwhile."""
        return not (self._stop.wait(seconds) if seconds > 0 else self._stop.is_set())

    def _send(self, claim: EmailClaim, email: Email, message: RenderedEmail) -> DeliveryResult | None:
        """Send an email that is marked as sending; return the result, or None if there is none to record."""
        fields = log_fields(claim)
        try:
            reply = self._mailer.send(message)
        except ServerUnavailable as error:
            self.server_error = error
            needs_operator = isinstance(error, ServerMisconfigured)
            outcome = DeliveryOutcome.NOT_ATTEMPTED if needs_operator else DeliveryOutcome.DEFERRED
            reply = str(error)
        except UncertainDelivery as error:
            log.warning("email_in_doubt", **fields, reason=str(error))
            if self._container.settings.mail.hold_uncertain:
                return None
            outcome, reply = DeliveryOutcome.DEFERRED, str(error)
        except TemporaryFailure as error:
            log.warning("email_deferred", **fields, reason=str(error))
            outcome, reply = DeliveryOutcome.DEFERRED, str(error)
        except PermanentFailure as error:
            log.warning("email_rejected", **fields, reason=str(error))
            if error.is_hard_bounce:
                self._queue.suppress_address(email.to)
            outcome, reply = DeliveryOutcome.REJECTED, str(error)
        except DATABASE_ERRORS:
            # Neither the email nor the mail server is at fault.
            raise
        except Exception:
            log.exception("email_failed", **fields)
            outcome, reply = DeliveryOutcome.REJECTED, SENDING_FAILED
        else:
            outcome = DeliveryOutcome.ACCEPTED
            self._container.smtp_breaker.record_success()
            log.debug("email_sent", **fields)
        return DeliveryResult(claim, outcome, reply)


def run_dispatchers(
    container: Container, queue: EmailQueue, mailers: Sequence[Mailer], stop: threading.Event
) -> Mapping[str, int] | None:
    """Send what is due in the queue, with one dispatcher for each mailer; return counts by outcome.

    Returns None while the circuit breaker is open. What an earlier run leased and did not complete, because it
    failed, is completed first.

    Raises:
        ServerUnavailable, ServerMisconfigured: no email can be sent. What was not sent stays due and loses no
        attempt.
    """
    if not container.smtp_breaker.allows_request(container.clock()):
        return None
    counts: Counter[str] = Counter()
    while recovered := queue.recover_leases(owner=queue.owner):
        counts.update(recovered)
    run = DispatchRun(len(mailers))
    dispatchers = [EmailDispatcher(container, mailer, queue, stop, run) for mailer in mailers]
    with ThreadPoolExecutor(len(dispatchers), thread_name_prefix="email-dispatcher") as pool:
        futures = [pool.submit(dispatcher.run) for dispatcher in dispatchers]
    for dispatcher in dispatchers:
        counts.update(dispatcher.counts)
    if counts.total():
        log.info("emails_sent", **{name: count for name, count in counts.items() if count})
    for future in futures:
        future.result()
    for error in (dispatcher.server_error for dispatcher in dispatchers):
        if error is not None:
            needs_operator = isinstance(error, ServerMisconfigured)
            container.smtp_breaker.record_failure(container.clock(), needs_operator=needs_operator)
            if needs_operator:
                log.error("mail_server_refuses_us", reason=str(error))
            else:
                log.warning("mail_server_away", reason=str(error))
            raise error
    return counts
