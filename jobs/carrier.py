"""One connection's way with the mails: claim a few, send them one after the other, put on record what was said.

Between two mails stands one statement: what the server said of the last, and that the next is about to leave. The
mail server is told for whom that next one is while the statement is under way, but nothing of it leaves before the
statement has been committed. So a worker that dies leaves at most the mail in its hand in doubt.
"""

import datetime
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic

import structlog

from jobs.books import DATABASE_AWAY, Batch, Books, C, L
from schemas.vocabulary import DeliveryOutcome
from service.desk import Container
from service.domain.mail.deliveries import Reply
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

UNWRITABLE = (
    "could not be written: a text of its campaign cannot be filled in, or its address would forge a header; "
    "the worker's log says which"
)
UNSENDABLE = "could not be sent: the worker's log says why"

log = structlog.get_logger()


class Carrier(Generic[C, L]):
    """Sends what is due over one mailer until nothing is, or the worker is told to stop, or the server is away."""

    def __init__(self, container: Container, mailer: Mailer, books: Books[C, L], stop: threading.Event) -> None:
        self._container = container
        self._mailer = mailer
        self._stop = stop
        self._books = books
        self.counts: Counter[str] = Counter()
        self.trouble: ServerUnavailable | None = None

    def run(self) -> None:
        """Carry batch after batch."""
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="books") as clerk:
                while not self._stop.is_set() and self.trouble is None:
                    if self._container.smtp_breaker.is_wary and not self._try_the_server():
                        return
                    batch = self._books.claim()
                    self.counts.update(batch.drafts.ended, postponed=batch.postponed)
                    if batch.is_empty:
                        return
                    self._carry(batch, clerk)
        finally:
            self._mailer.close()

    def _try_the_server(self) -> bool:
        """See whether a server that was away is back before claiming; False if it is not, or nothing is due."""
        if not self._books.is_anything_due():
            return False
        try:
            self._mailer.connect()
        except ServerUnavailable as trouble:
            self.trouble = trouble
            return False
        return True

    def _carry(self, batch: Batch[C, L], clerk: ThreadPoolExecutor) -> None:
        claims = [claim for claim, _ in batch.drafts.letters]
        reply: Reply[C] | None = None
        try:
            if claims:
                self._mailer.connect()
            for (claim, email), slot in zip(batch.drafts.letters, batch.slots, strict=True):
                mail = self._write(claim, email)
                if mail is None:
                    claims.remove(claim)
                    continue
                if self._is_stopped_before(slot):
                    break
                begun = clerk.submit(self._books.pass_on, reply, claim)
                reply = self._send(claim, email, mail, begun)
                if self.trouble is not None:
                    break
        except ServerUnavailable as trouble:
            self.trouble = trouble
        finally:
            self.counts.update(self._books.finish(reply, claims))

    def _write(self, claim: C, email: L) -> RenderedEmail | None:
        """Return the mail; None if the letter cannot be made into one, which is then on record."""
        events, names = self._books.events, self._books.names(claim)
        try:
            return self._mailer.render(email)
        except Exception:
            log.exception(events.unwritable, **names)
            self.counts["failed"] += self._books.refuse(claim, UNWRITABLE)
            return None

    def _is_stopped_before(self, slot: datetime.datetime) -> bool:
        """Wait for a mail's turn; return whether the worker was told to stop meanwhile."""
        wait = (slot - self._container.clock()).total_seconds()
        return self._stop.wait(wait) if wait > 0 else self._stop.is_set()

    def _send(self, claim: C, email: L, mail: RenderedEmail, begun: Future[bool]) -> Reply[C] | None:
        """Send a mail once it is begun; return what became of it, or None if there is nothing to put on record."""
        events, names = self._books.events, self._books.names(claim)
        try:
            words = self._mailer.send(mail, before_data=begun.result)
        except SendCancelled:
            return None
        except ServerUnavailable as trouble:
            self.trouble = trouble
            needs_somebody = isinstance(trouble, ServerMisconfigured)
            outcome = DeliveryOutcome.NOT_ATTEMPTED if needs_somebody else DeliveryOutcome.DEFERRED
            words = str(trouble)
        except UncertainDelivery as error:
            log.warning(events.in_doubt, **names, reason=str(error))
            if self._container.settings.mail.holds_doubtful:
                return None
            outcome, words = DeliveryOutcome.DEFERRED, str(error)
        except TemporaryFailure as error:
            log.warning(events.delayed, **names, reason=str(error))
            outcome, words = DeliveryOutcome.DEFERRED, str(error)
        except PermanentFailure as error:
            log.warning(events.refused, **names, reason=str(error))
            if error.is_hard_bounce:
                self._books.give_up(email.to)
            outcome, words = DeliveryOutcome.REJECTED, str(error)
        except DATABASE_AWAY:
            # This is no fault of the mail itself, nor of the mail server.
            raise
        except Exception:
            log.exception(events.failed, **names)
            outcome, words = DeliveryOutcome.REJECTED, UNSENDABLE
        else:
            outcome = DeliveryOutcome.ACCEPTED
            self._container.smtp_breaker.reset()
            log.debug(events.sent, **names)
        return Reply(claim, outcome, words) if begun.result() else None
