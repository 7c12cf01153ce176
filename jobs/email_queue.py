"""The database side of sending: dispatchers claim batches of emails from the outbox and record the results.

A mail server gives each reply only once, so a reply is written again and again until the database has it, whatever
the database answers meanwhile.
"""

import contextlib
import datetime
import math
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

import psycopg
import structlog
from sqlalchemy import exc
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, SuppressionReason
from service.container import Container
from service.db.time_limits import DeadlineConnection
from service.domain.email import delivery
from service.domain.email.delivery import DeliveryResult, FinishedEmail, OnFinished
from service.domain.email.outbox import PRIORITIES
from service.domain.email.queue import EmailClaim, claim_due_emails, count_due, oldest_due_age, reserve_send_slots
from service.domain.email.rendering import PreparedEmails, UnsentEmail
from service.domain.email.status import EmailEvent
from service.domain.email.suppression import suppress
from service.domain.errors import LeaseLost
from service.domain.notifications.emails import build_notification_emails
from service.domain.ports import Email, TransactionFactory
from service.domain.reminders.delivery import finish_reminders
from service.domain.reminders.emails import build_reminder_emails
from service.domain.reminders.queue import KINDS as REMINDER_KINDS

# Whatever its size, the statements for a batch take some 17 ms, as long as sending ten emails.
MAX_BATCH_SIZE = 250
ALL_PRIORITIES = frozenset(PRIORITIES.values())
# With a rate limit, no batch takes longer to send than this, so that other workers find emails to claim.
MAX_BATCH_SECONDS = 5
DB_RETRY_SECONDS = 120
# A worker has 30 seconds to stop.
DB_RETRY_SECONDS_ON_SHUTDOWN = 10
MAX_DB_BACKOFF_SECONDS = 2
# One for `record_and_mark_next` and one for all else.
CONNECTIONS_PER_DISPATCHER = 2
# Of the other jobs, each for a moment.
OTHER_CONNECTIONS = 4
# Any error of the driver: a pooler or a failover has more than those about the connection.
DATABASE_ERRORS = (exc.DBAPIError, exc.TimeoutError, psycopg.Error)

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class EmailBatch:
    """Emails to send, the earliest instant for each, and counts of those that are not sent."""

    emails: list[tuple[EmailClaim, Email]] = field(default_factory=list)
    send_at: list[datetime.datetime] = field(default_factory=list)
    unsent: Counter[str] = field(default_factory=Counter)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was due."""
        return not (self.emails or self.unsent.total())


class EmailQueue:
    """The due emails of some priorities, shared by `connections` dispatchers of this worker.

    `owner` identifies them in the leases.
    """

    def __init__(
        self,
        container: Container,
        stop: threading.Event,
        *,
        owner: uuid.UUID,
        priorities: Collection[int] = ALL_PRIORITIES,
        connections: int = 1,
        max_batch_size: int = MAX_BATCH_SIZE,
    ) -> None:
        self.owner = owner
        self._max_batch_size = max_batch_size
        self._container = container
        self._stop = stop
        self._priorities = priorities
        self._kinds = [kind for kind, priority in PRIORITIES.items() if priority in priorities]
        self._connections = connections

    def has_due(self) -> bool:
        """Whether there is an email to claim."""
        with self._container.database.read_only() as session:
            return oldest_due_age(session, now=self._container.clock(), kinds=self._kinds) is not None

    def claim_batch(self) -> EmailBatch:
        """Claim due emails and build them."""
        container, now = self._container, self._container.clock()
        with container.database.transaction() as session:
            claimed = claim_due_emails(
                session,
                worker=self.owner,
                now=now,
                limit=self._batch_size(session, now),
                lease=container.lease_duration,
                respect_sending_hours=container.settings.mail.respect_sending_hours,
                priorities=self._priorities,
            )
        prepared, unsent = PreparedEmails(), Counter(postponed=claimed.postponed)
        for build, is_reminder in ((self._build_notifications, False), (self._build_reminders, True)):
            claims = [claim for claim in claimed.claims if (claim.kind in REMINDER_KINDS) == is_reminder]
            if claims:
                # A transaction for each, because they lock what their emails are about in a different order.
                with container.database.transaction() as session:
                    built = PreparedEmails()
                    build(session, claims, built, now=now)
                    unsent += self._finish_unsent(session, built.unsent, now=now)
                prepared.emails.extend(built.emails)
        if unsent["failed"]:
            log.warning("emails_unwritable", count=unsent["failed"])
        # Most urgent first, as they were claimed.
        position = {claim.email_id: number for number, claim in enumerate(claimed.claims)}
        prepared.emails.sort(key=lambda each: position[each[0].email_id])
        with container.database.transaction() as session:
            send_at = self._reserve_send_slots(session, len(prepared.emails), now=now)
        return EmailBatch(prepared.emails, send_at, unsent)

    @contextmanager
    def driver_connection(self) -> Iterator[DeadlineConnection | None]:
        """Yield a connection to keep for a whole batch; None on SQLite, or if there is none to spare."""
        settings = self._container.settings
        needed = CONNECTIONS_PER_DISPATCHER * self._connections + OTHER_CONNECTIONS
        with ExitStack() as stack:
            connection = None
            if settings.database_pool + settings.database_pool_overflow >= needed:
                with contextlib.suppress(*DATABASE_ERRORS):
                    connection = stack.enter_context(self._container.database.driver_connection())
                    if connection is not None:
                        delivery.prepare_record_and_mark_next(connection, now=self._container.clock())
            yield connection

    def record_and_mark_next(
        self,
        connection: DeadlineConnection | None,
        result: DeliveryResult | None,
        claim: EmailClaim,
        *,
        meanwhile: Callable[[], None] | None = None,
    ) -> bool:
        """Record the last result, if any, and mark the next email as sending; return whether its lease is held.

        On PostgreSQL both are one statement, on the `connection` of the batch if there is one. `meanwhile` may be
        called while the database is busy with it.
        """
        now = self._container.clock()
        if result is not None:
            if result.outcome != DeliveryOutcome.NOT_ATTEMPTED:
                try:
                    held = self._record_and_mark_at_once(connection, result, claim, now=now, meanwhile=meanwhile)
                except DATABASE_ERRORS:
                    # Perhaps because of the next email, and the result must not be lost with it.
                    held = None
                if held is not None:
                    _log_if_lease_lost(result.claim, held[0])
                    return _log_if_lease_lost(claim, held[1])
            self.record_result(result)
        autocommit = self._container.database.autocommit
        is_held = self._retry(autocommit, _holds_lease, delivery.mark_sending, claim, now=now)
        return _log_if_lease_lost(claim, is_held)

    def _record_and_mark_at_once(
        self,
        connection: DeadlineConnection | None,
        result: DeliveryResult,
        claim: EmailClaim,
        *,
        now: datetime.datetime,
        meanwhile: Callable[[], None] | None,
    ) -> tuple[bool, bool] | None:
        """Return whether each lease was held; None on SQLite, where nothing is done."""
        if connection is not None:
            return delivery.record_and_mark_next(connection, result, claim, now=now, meanwhile=meanwhile)
        with self._container.database.driver_connection() as another:
            if another is None:
                return None
            return delivery.record_and_mark_next(another, result, claim, now=now)

    def record_result(self, result: DeliveryResult) -> None:
        """Record the result of an attempt; retried for as long as this worker lives.

        Given up, an email that the mail server has accepted would be sent again.
        """
        now = self._container.clock()
        try:
            recorded = self._retry_for(
                math.inf,
                self._container.database.transaction,
                lambda session: _holds_lease(session, delivery.record_result, result, now=now),
            )
        except DATABASE_ERRORS:
            # The driver's error may quote the row, so it is raised and not logged here.
            log.error("email_not_recorded", **log_fields(result.claim), outcome=result.outcome.value)  # noqa: TRY400 - as above
            raise
        _log_if_lease_lost(result.claim, recorded)

    def fail_rendering(self, claim: EmailClaim, reason: str) -> bool:
        """Record that an email could not be rendered; return whether its lease was still held."""
        now, transaction = self._container.clock(), self._container.database.transaction
        failed = UnsentEmail(claim, EmailEvent.FAIL, reason, "failed")
        counts = self._retry(transaction, self._finish_unsent, [failed], now=now)
        return _log_if_lease_lost(claim, counts.total() > 0)

    def suppress_address(self, address: str) -> None:
        """Suppress an address that hard-bounced, unless the database refuses; the next bounce will do it then."""
        now, transaction = self._container.clock(), self._container.database.transaction
        try:
            self._retry(transaction, suppress, address, reason=SuppressionReason.HARD_BOUNCE, now=now)
        except DATABASE_ERRORS as error:
            # Raised, it would lose the server's rejection, which is still to be recorded.
            log.error("address_not_suppressed", error_class=_error_class(error))  # noqa: TRY400 - it may quote the row

    def complete_batch(self, result: DeliveryResult | None, claims: list[EmailClaim]) -> Counter[str]:
        """Record the last result and complete the whole batch; emails that were not attempted are requeued."""
        # In a transaction of its own, because an error about another email of the batch must not undo it.
        if result is not None:
            self.record_result(result)
        now, hold_uncertain = self._container.clock(), self._container.settings.mail.hold_uncertain
        return self._retry(
            self._container.database.transaction,
            delivery.complete_emails,
            claims,
            hold_uncertain=hold_uncertain,
            now=now,
            on_finished=self._finisher(now),
        )

    def recover_leases(self, owner: uuid.UUID | None = None) -> Counter[str]:
        """Complete a batch of emails whose lease has expired, or of what `owner` leases; return counts."""
        now = self._container.clock()
        with self._container.database.transaction() as session:
            return delivery.recover_expired_leases(
                session,
                hold_uncertain=self._container.settings.mail.hold_uncertain,
                now=now,
                worker=owner,
                on_finished=self._finisher(now),
            )

    def _batch_size(self, session: Session, now: datetime.datetime) -> int:
        """Return how many emails to claim, so that each connection of this worker has some of what is due."""
        rate = self._container.settings.mail.rate
        limit = self._max_batch_size
        if rate is not None:
            limit = max(1, min(limit, int(rate * MAX_BATCH_SECONDS)))
        if self._connections == 1:
            return limit
        due = count_due(session, now=now, most=self._connections * limit)
        return max(1, math.ceil(due / self._connections))

    def _build_reminders(
        self, session: Session, claims: list[EmailClaim], prepared: PreparedEmails, *, now: datetime.datetime
    ) -> None:
        build_reminder_emails(
            session,
            claims,
            prepared,
            urls=self._container.urls,
            now=now,
            month_seconds=self._container.settings.month_seconds,
            gateway=self._container.gateway,
        )

    def _build_notifications(
        self, session: Session, claims: list[EmailClaim], prepared: PreparedEmails, *, now: datetime.datetime
    ) -> None:
        settings = self._container.settings
        build_notification_emails(
            session,
            claims,
            prepared,
            urls=self._container.urls,
            now=now,
            alert_recipients=settings.mail.alert_recipients,
            sandbox_recipients=settings.sandbox_recipients,
        )

    def _finish_unsent(
        self, session: Session, unsent: Sequence[UnsentEmail], *, now: datetime.datetime
    ) -> Counter[str]:
        return delivery.finish_unsent(session, unsent, now=now, on_finished=self._finisher(now))

    def _reserve_send_slots(
        self, session: Session, count: int, *, now: datetime.datetime
    ) -> list[datetime.datetime]:
        """Return the earliest instant at which each of `count` emails may be sent."""
        rate = self._container.settings.mail.rate
        return [now] * count if rate is None else reserve_send_slots(session, rate=rate, count=count, now=now)

    def _finisher(self, now: datetime.datetime) -> OnFinished:
        """Return what completes the reminders of finished emails."""

        def on_finished(session: Session, emails: Sequence[FinishedEmail]) -> None:
            finish_reminders(session, emails, now=now, month_seconds=self._container.settings.month_seconds)

        return on_finished

    def _retry(
        self,
        transaction: TransactionFactory,
        write: Callable[Concatenate[Session, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a write, and retry it while the database refuses it: for two minutes, ten seconds on shutdown.

        A commit whose confirmation was lost is repeated, so writes must be idempotent.
        """
        return self._retry_for(DB_RETRY_SECONDS, transaction, lambda session: write(session, *args, **kwargs))

    def _retry_for(self, max_seconds: float, transaction: TransactionFactory, write: Callable[[Session], T]) -> T:
        started_at, stopping_at, backoff = time.monotonic(), None, 0.1
        while True:
            try:
                with transaction() as session:
                    return write(session)
            except DATABASE_ERRORS as error:
                now = time.monotonic()
                if self._stop.is_set():
                    stopping_at = stopping_at or now
                    if now - stopping_at > DB_RETRY_SECONDS_ON_SHUTDOWN:
                        raise
                if now - started_at > max_seconds:
                    raise
                if backoff < MAX_DB_BACKOFF_SECONDS:
                    # One line for each step, and none for each of the thousands of tries in a long outage.
                    log.warning("database_away", retry_in=backoff, error_class=_error_class(error))
                time.sleep(backoff)
                backoff = min(backoff * 2, MAX_DB_BACKOFF_SECONDS)


def log_fields(claim: EmailClaim) -> dict[str, str]:
    """Return the fields that identify an email in the log."""
    return {"email": str(claim.email_id), "kind": claim.kind.value}


def _holds_lease(
    session: Session, write: Callable[Concatenate[Session, P], object], *args: P.args, **kwargs: P.kwargs
) -> bool:
    try:
        write(session, *args, **kwargs)
    except LeaseLost:
        return False
    return True


def _log_if_lease_lost(claim: EmailClaim, is_held: bool) -> bool:
    if not is_held:
        log.info("email_lease_lost", **log_fields(claim))
    return is_held


def _error_class(error: BaseException) -> str:
    return type(getattr(error, "orig", None) or error).__name__
