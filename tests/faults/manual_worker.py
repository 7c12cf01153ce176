"""A worker whose every step is taken by hand, so that it can stop, freeze or vanish between any two of them.

It runs the real `EmailDispatcher` with the real books of reminders, in a thread that waits before it claims,
before a mail
is begun, before the mail server answers and before a batch is settled, until it is told to go on.
"""

import dataclasses
import queue
import threading
import uuid
from collections import Counter
from collections.abc import Callable

from jobs.email_dispatcher import EmailDispatcher
from jobs.email_queue import EmailBatch, ReminderQueue
from jobs.monitoring import send_heartbeat
from schemas.enums import DeliveryOutcome
from service.container import Container
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.ports import (
    PermanentFailure,
    ReminderEmail,
    RenderedEmail,
    SendCancelled,
    ServerMisconfigured,
    TemporaryFailure,
    UncertainDelivery,
)
from service.domain.reminders.delivery import DeliveryResult
from service.domain.reminders.queue import ReminderClaim

Answer = tuple[DeliveryOutcome, bool]
"""What the mail server says to a mail, and whether the mail arrives."""
Occurrence = tuple[uuid.UUID, int]
"""A reminder and its occurrence."""
Letters = EmailBatch[ReminderClaim, ReminderEmail]

CLAIM, BEGIN, ANSWER, SETTLE = "claim", "begin", "answer", "settle"
PATIENCE_SECONDS = 60
# A worker that was frozen may wait for as long as a whole walk takes.
LONGEST_WALK_SECONDS = 600
SAID = "so said the server"


class Mailbox:
    """Where the mails arrive, each in one copy; `allowed_duplicates` counts the crashes that allow for one more
    of a mail.
    """

    def __init__(self) -> None:
        self.copies: Counter[Occurrence] = Counter()
        self.allowed_duplicates: Counter[Occurrence] = Counter()


class Vanished(BaseException):
    """The process of this worker is gone: nothing that the worker would have done next happens."""


class Gate:
    """Where one run of a worker waits for the test, and the test for the run; neither for ever."""

    def __init__(self) -> None:
        self._arrivals: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
        self._orders: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waits: str | None = None
        self._is_closed = False

    def wait(self, where: str) -> Answer:
        """Wait, in the worker, to be told to go on; return what the mail server is to say.

        Raises:
            Vanished: the worker is not to go on.
        """
        with self._lock:
            if self._waits is not None:
                self._arrivals.put(
                    AssertionError(f"a worker came to {where} before it was done with {self._waits}")
                )
                raise Vanished
            if self._is_closed:
                raise Vanished
            self._waits = where
        self._arrivals.put(where)
        order = self._orders.get(timeout=LONGEST_WALK_SECONDS)
        with self._lock:
            self._waits = None
        if order is None:
            raise Vanished
        return order

    def end(self, error: BaseException | None) -> None:
        """Say, in the worker, that the run is over."""
        self._arrivals.put(error)

    def arrival(self) -> str | None:
        """Wait, in the test, for the worker; return where it waits, or None once its run is over."""
        try:
            where = self._arrivals.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            raise AssertionError(f"a worker neither waited nor ended within {PATIENCE_SECONDS} s") from None
        if isinstance(where, BaseException):
            raise where
        return where

    def let_on(self, response: Answer) -> str | None:
        """Let the worker take one step; return where it waits next, or None once its run is over."""
        self._orders.put(response)
        return self.arrival()

    def close(self) -> None:
        """Let the worker vanish from where it waits."""
        with self._lock:
            self._is_closed = True
        self._orders.put(None)


class SteppedBooks(ReminderQueue):
    """The books of reminders, which wait before each thing that they do; `reply` is not on record yet."""

    def __init__(self, container: Container, stop: threading.Event, gate: Gate) -> None:
        super().__init__(container, stop)
        self._gate = gate
        self.begun: ReminderClaim | None = None
        self.reply: DeliveryResult[ReminderClaim] | None = None

    def claim(self) -> Letters:
        self._gate.wait(CLAIM)
        return super().claim_batch()

    def pass_on(self, reply: DeliveryResult[ReminderClaim] | None, claim: ReminderClaim) -> bool:
        self.reply = reply
        self._gate.wait(BEGIN)
        self.begun = claim
        is_ours = super().record_and_mark_next(reply, claim)
        self.reply = None
        return is_ours

    def finish(self, reply: DeliveryResult[ReminderClaim] | None, claims: list[ReminderClaim]) -> Counter[str]:
        self.reply = reply
        self._gate.wait(SETTLE)
        counts = super().complete_batch(reply, claims)
        self.reply = None
        return counts


class SteppedMailer:
    """A mailer to a server that answers each mail when it is told to, and as it is told to."""

    def __init__(self, gate: Gate, arrive: Callable[[DeliveryOutcome], None]) -> None:
        self._gate = gate
        self._arrive = arrive
        self.letter: ReminderEmail | None = None

    def write(self, email: ReminderEmail) -> RenderedEmail:
        self.letter = email
        return RenderedEmail(message_id=email.message_id, recipient=email.to, content=b"")

    def open(self) -> None:
        """Be there."""

    def close(self) -> None:
        """Have nothing to let go of."""

    def send(self, mail: RenderedEmail, *, before_data: Callable[[], bool]) -> str:
        if not before_data():
            raise SendCancelled("it was not to leave after all")
        outcome, arrives = self._gate.wait(ANSWER)
        if arrives:
            self._arrive(outcome)
        match outcome:
            case DeliveryOutcome.ACCEPTED:
                return SAID
            case DeliveryOutcome.DEFERRED if arrives:
                # The connection broke before the reply.
                raise UncertainDelivery(SAID)
            case DeliveryOutcome.DEFERRED:
                raise TemporaryFailure(SAID)
            case DeliveryOutcome.NOT_ATTEMPTED:
                raise ServerMisconfigured(SAID)
            case _:
                raise PermanentFailure(SAID)


class ManualWorker:
    """One worker. `check` is called with each mail that is about to leave."""

    def __init__(
        self, container: Container, post: Mailbox, check: Callable[[ReminderClaim, ReminderEmail], None]
    ) -> None:
        self._container, self._post, self._check = container, post, check
        self.is_frozen = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Be a new process, none of whose runs has begun."""
        self._container = dataclasses.replace(
            self._container, worker_id=uuid.uuid4(), smtp_breaker=CircuitBreaker()
        )
        self._where: str | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it holds nothing, and looks next for what is due."""
        return self._where in (None, CLAIM)

    def step(self, response: Answer) -> None:
        """Do what comes next: claim, begin a mail, hear the server's answer to it, or settle the batch."""
        if self._where is None:
            self._run()
        self._where = self._gate.let_on(response)
        if self._where == ANSWER:
            self._check(self._books.begun, self._mailer.letter)

    def renew(self) -> None:
        """Show that it lives, as a worker does every few seconds."""
        send_heartbeat(self._container, threading.Event())

    def crash(self) -> None:
        """End between any two steps; another worker starts in its place."""
        self._lose_lease()
        if self._where is not None:
            self._gate.close()
            self._thread.join(PATIENCE_SECONDS)
            assert not self._thread.is_alive(), "a worker that vanished goes on"
        self.is_frozen = False
        self._begin_anew()

    def freeze(self) -> None:
        """Stop without ending, as a machine that sleeps; its leases run out, and it comes back unaware."""
        self._lose_lease()
        self.is_frozen = True

    def _run(self) -> None:
        """Start a run, as the scheduler does, up to where it waits first."""
        stop, self._gate = threading.Event(), Gate()
        self._books = SteppedBooks(self._container, stop, self._gate)
        self._mailer = SteppedMailer(self._gate, self._arrive)
        dispatcher = EmailDispatcher(self._container, self._mailer, self._books, stop)
        self._thread = threading.Thread(target=self._carry, args=(dispatcher, self._gate), daemon=True)
        self._thread.start()
        self._where = self._gate.arrival()

    @staticmethod
    def _carry(dispatcher: EmailDispatcher[ReminderClaim, ReminderEmail], gate: Gate) -> None:
        try:
            dispatcher.run()
        except BaseException as error:  # noqa: BLE001 - whatever ended the run is the test's to raise
            gate.end(error)
        else:
            gate.end(None)

    def _arrive(self, outcome: DeliveryOutcome) -> None:
        self._post.copies[self._of(self._books.begun)] += 1
        if outcome == DeliveryOutcome.DEFERRED:
            # In doubt, as after a crash.
            self._allow_duplicate(self._books.begun)

    def _lose_lease(self) -> None:
        """Excuse one more copy of the mail in its hand, and of that whose reply is not on record."""
        if self._where == ANSWER:
            self._allow_duplicate(self._books.begun)
        elif not self.is_idle and self._books.reply is not None:
            self._allow_duplicate(self._books.reply.claim)

    def _allow_duplicate(self, claim: ReminderClaim) -> None:
        if not self._container.settings.mail.hold_uncertain:
            self._post.allowed_duplicates[self._of(claim)] += 1

    @staticmethod
    def _of(claim: ReminderClaim) -> Occurrence:
        return claim.reminder_id, claim.occurrence
