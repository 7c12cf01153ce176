"""A worker that a test steps by hand, so that it can crash or freeze between any two steps.

It runs the real `EmailDispatcher` with the real `EmailQueue`, in a thread that waits at a gate before it claims
a batch, marks an email as sending, gets the mail server's reply and completes the batch.
"""

import dataclasses
import queue
import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable

from jobs.email_dispatcher import DispatchRun, EmailDispatcher
from jobs.email_queue import EmailBatch, EmailQueue
from jobs.monitoring import send_heartbeat
from schemas.enums import DeliveryOutcome
from service.container import Container
from service.db.time_limits import DeadlineConnection
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.email.delivery import DeliveryResult
from service.domain.email.queue import EmailClaim
from service.domain.ports import (
    Email,
    PermanentFailure,
    RenderedEmail,
    ServerMisconfigured,
    TemporaryFailure,
    UncertainDelivery,
)

ServerReply = tuple[DeliveryOutcome, bool]
"""The outcome that the mail server gives an email, and whether the email arrives."""

CLAIM, MARK_SENDING, REPLY, COMPLETE = "claim", "mark_sending", "reply", "complete"
TIMEOUT_SECONDS = 60
# A frozen worker may wait for as long as a whole run of the state machine takes.
MAX_RUN_SECONDS = 600
REPLY_TEXT = "the server's reply"


class Mailbox:
    """Counts the copies of each email that arrived, by its id, and how many extra copies a crash excuses."""

    def __init__(self) -> None:
        self.copies: Counter[uuid.UUID] = Counter()
        self.allowed_duplicates: Counter[uuid.UUID] = Counter()
        self.message_ids: defaultdict[uuid.UUID, set[str]] = defaultdict(set)


class WorkerCrashed(BaseException):
    """Ends the thread of a worker as if its process had died; a BaseException, so that no handler sees it."""


class Gate:
    """Synchronises one run of a worker with the test; both sides time out."""

    def __init__(self) -> None:
        self._reached: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
        self._resume: queue.SimpleQueue[ServerReply | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting_at: str | None = None
        self._is_closed = False

    def wait(self, where: str) -> ServerReply:
        """Wait, in the worker's thread, until the test resumes it; return the mail server's reply.

        Raises:
            WorkerCrashed: the test crashed the worker.
        """
        with self._lock:
            if self._waiting_at is not None:
                self._reached.put(
                    AssertionError(f"the worker reached {where} while it still waited at {self._waiting_at}")
                )
                raise WorkerCrashed
            if self._is_closed:
                raise WorkerCrashed
            self._waiting_at = where
        self._reached.put(where)
        command = self._resume.get(timeout=MAX_RUN_SECONDS)
        with self._lock:
            self._waiting_at = None
        if command is None:
            raise WorkerCrashed
        return command

    def end(self, error: BaseException | None) -> None:
        """Report, from the worker's thread, that the run has ended."""
        self._reached.put(error)

    def next_stop(self) -> str | None:
        """Wait, in the test, for the worker; return where it waits, or None if its run has ended."""
        try:
            where = self._reached.get(timeout=TIMEOUT_SECONDS)
        except queue.Empty:
            raise AssertionError(f"the worker neither waited nor ended within {TIMEOUT_SECONDS} s") from None
        if isinstance(where, BaseException):
            raise where
        return where

    def resume(self, reply: ServerReply) -> str | None:
        """Let the worker accept one step; return where it waits next, or None if its run has ended."""
        self._resume.put(reply)
        return self.next_stop()

    def close(self) -> None:
        """Crash the worker where it waits."""
        with self._lock:
            self._is_closed = True
        self._resume.put(None)


class SteppedQueue(EmailQueue):
    """An `EmailQueue` that waits at the gate before each write; `reply` is a result not recorded yet."""

    def __init__(self, container: Container, stop: threading.Event, gate: Gate) -> None:
        super().__init__(container, stop, owner=container.worker_id)
        self._gate = gate
        self.marked: EmailClaim | None = None
        self.reply: DeliveryResult | None = None

    def claim_batch(self) -> EmailBatch:
        self._gate.wait(CLAIM)
        return super().claim_batch()

    def record_and_mark_next(
        self,
        connection: DeadlineConnection | None,
        reply: DeliveryResult | None,
        claim: EmailClaim,
        *,
        meanwhile: Callable[[], None] | None = None,
    ) -> bool:
        self.reply = reply
        self._gate.wait(MARK_SENDING)
        self.marked = claim
        is_ours = super().record_and_mark_next(connection, reply, claim, meanwhile=meanwhile)
        self.reply = None
        return is_ours

    def complete_batch(self, reply: DeliveryResult | None, claims: list[EmailClaim]) -> Counter[str]:
        self.reply = reply
        self._gate.wait(COMPLETE)
        counts = super().complete_batch(reply, claims)
        self.reply = None
        return counts


class SteppedMailer:
    """A mailer whose server gives each email the reply that the test chooses, when the test resumes it."""

    def __init__(self, gate: Gate, deliver: Callable[[DeliveryOutcome], None]) -> None:
        self._gate = gate
        self._deliver = deliver
        self.email: Email | None = None
        self._rendered: dict[str, Email] = {}

    def render(self, email: Email) -> RenderedEmail:
        # The next emails are rendered before this one is sent.
        self._rendered[email.message_id] = email
        return RenderedEmail(message_id=email.message_id, recipient=email.to, content=b"")

    def connect(self) -> None: ...

    def close(self) -> None: ...

    def prepare(self, mail: RenderedEmail) -> None: ...

    def send_ahead(self) -> None: ...

    def send(self, mail: RenderedEmail) -> str:
        self.email = self._rendered.pop(mail.message_id)
        outcome, arrives = self._gate.wait(REPLY)
        if arrives:
            self._deliver(outcome)
        match outcome:
            case DeliveryOutcome.ACCEPTED:
                return REPLY_TEXT
            case DeliveryOutcome.DEFERRED if arrives:
                # The connection broke before the reply.
                raise UncertainDelivery(REPLY_TEXT)
            case DeliveryOutcome.DEFERRED:
                raise TemporaryFailure(REPLY_TEXT)
            case DeliveryOutcome.NOT_ATTEMPTED:
                raise ServerMisconfigured(REPLY_TEXT)
            case _:
                raise PermanentFailure(REPLY_TEXT)


class ManualWorker:
    """One worker. `check` is called with each email that is about to be sent."""

    def __init__(self, container: Container, mailbox: Mailbox, check: Callable[[EmailClaim, Email], None]) -> None:
        self._container, self._mailbox, self._check = container, mailbox, check
        self.is_frozen = False
        self._start_process()

    def _start_process(self) -> None:
        """Become a new process that has not started a run."""
        self._container = dataclasses.replace(
            self._container, worker_id=uuid.uuid4(), smtp_breaker=CircuitBreaker()
        )
        self._waiting_at: str | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it holds no lease and claims next."""
        return self._waiting_at in (None, CLAIM)

    def step(self, reply: ServerReply) -> None:
        """Take the next step: claim, mark an email as sending, get the server's reply, or complete the batch."""
        if self._waiting_at is None:
            self._run()
        self._waiting_at = self._gate.resume(reply)
        if self._waiting_at == REPLY:
            self._check(self._queue.marked, self._mailer.email)

    def renew(self) -> None:
        """Send a heartbeat, which renews the worker's leases."""
        send_heartbeat(self._container, threading.Event())

    def crash(self) -> None:
        """Crash where it waits; a new worker replaces it."""
        self._allow_crash_duplicate()
        if self._waiting_at is not None:
            self._gate.close()
            self._thread.join(TIMEOUT_SECONDS)
            assert not self._thread.is_alive(), "a crashed worker's thread is still running"
        self.is_frozen = False
        self._start_process()

    def freeze(self) -> None:
        """Stop without ending, like a suspended machine: its leases expire, and it later resumes unaware."""
        self._allow_crash_duplicate()
        self.is_frozen = True

    def _run(self) -> None:
        """Start a run, as the scheduler does, up to the first gate."""
        stop, self._gate = threading.Event(), Gate()
        self._queue = SteppedQueue(self._container, stop, self._gate)
        self._mailer = SteppedMailer(self._gate, self._deliver)
        dispatcher = EmailDispatcher(self._container, self._mailer, self._queue, stop, DispatchRun(1))
        self._thread = threading.Thread(target=self._run_dispatcher, args=(dispatcher, self._gate), daemon=True)
        self._thread.start()
        self._waiting_at = self._gate.next_stop()

    @staticmethod
    def _run_dispatcher(dispatcher: EmailDispatcher, gate: Gate) -> None:
        try:
            dispatcher.run()
        except BaseException as error:  # noqa: BLE001 - the test raises whatever ended the run
            gate.end(error)
        else:
            gate.end(None)

    def _deliver(self, outcome: DeliveryOutcome) -> None:
        self._mailbox.copies[self._queue.marked.email_id] += 1
        self._mailbox.message_ids[self._queue.marked.email_id].add(self._mailer.email.message_id)
        if outcome == DeliveryOutcome.DEFERRED:
            # The delivery is uncertain, as after a crash.
            self._allow_duplicate(self._queue.marked)

    def _allow_crash_duplicate(self) -> None:
        """Excuse one more copy of the email in flight, or of the one whose result is not recorded yet."""
        if self._waiting_at == REPLY:
            self._allow_duplicate(self._queue.marked)
        elif not self.is_idle and self._queue.reply is not None:
            self._allow_duplicate(self._queue.reply.claim)

    def _allow_duplicate(self, claim: EmailClaim) -> None:
        if not self._container.settings.mail.hold_uncertain:
            self._mailbox.allowed_duplicates[claim.email_id] += 1
