"""What a carrier takes from the database and puts there: claims, and what became of each mail.

What a mail server said is not heard twice, so that it is written down even if the database is away for a while.
"""

import datetime
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Concatenate, Generic, ParamSpec, TypeVar

import structlog
from sqlalchemy import exc
from sqlalchemy.orm import Session

from schemas.enums import SuppressionReason
from service.container import Container
from service.domain.email.queue import reserve_send_slots
from service.domain.email.rendering import PreparedEmails
from service.domain.email.suppression import suppress
from service.domain.errors import LeaseLost
from service.domain.notifications.delivery import (
    complete_notifications,
    fail_notification_rendering,
    mark_notification_sending,
    record_notification_result,
)
from service.domain.notifications.emails import build_notification_emails
from service.domain.notifications.queue import (
    NotificationClaim,
    claim_due_notifications,
    oldest_due_notification_age,
)
from service.domain.ports import Email, NotificationEmail, ReminderEmail
from service.domain.reminders import delivery as deliveries
from service.domain.reminders.delivery import DeliveryPolicy, DeliveryResult, complete_deliveries, fail_rendering
from service.domain.reminders.emails import build_reminder_emails
from service.domain.reminders.queue import ReminderClaim, claim_due_reminders, oldest_due_age


@dataclass(frozen=True, kw_only=True)
class EmailLogEvents:
    """The names for one kind of mail."""

    sent: str
    in_doubt: str
    delayed: str
    refused: str
    failed: str
    rendering_failed: str
    lease_lost: str
    batch_sent: str


REMINDER_LOG_EVENTS = EmailLogEvents(
    sent="reminder_sent",
    in_doubt="reminder_in_doubt",
    delayed="reminder_delayed",
    refused="reminder_refused",
    failed="reminder_failed",
    rendering_failed="reminder_unwritable",
    lease_lost="reminder_lease_lost",
    batch_sent="reminders_carried",
)
NOTIFICATION_LOG_EVENTS = EmailLogEvents(
    sent="notice_sent",
    in_doubt="notice_in_doubt",
    delayed="notice_delayed",
    refused="notice_refused",
    failed="notice_failed",
    rendering_failed="notice_unwritable",
    lease_lost="notice_lease_lost",
    batch_sent="notices_carried",
)


# With a rate, no batch is larger than what leaves in this time, so that another worker finds something to do.
MAX_BATCH_SECONDS = 5
DB_RETRY_SECONDS = 120
# Whoever stops a worker waits for it half a minute at most.
DB_RETRY_SECONDS_ON_SHUTDOWN = 10
DATABASE_UNAVAILABLE = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")
ClaimT = TypeVar("ClaimT")
EmailT = TypeVar("EmailT", bound=Email)
TransactionFactory = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True)
class EmailBatch(Generic[ClaimT, EmailT]):
    """Some letters, the instant from which each may leave, and how many mails wait for the morning instead."""

    prepared: PreparedEmails[ClaimT, EmailT]
    send_at: list[datetime.datetime]
    postponed: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was due."""
        return not (self.prepared.emails or self.prepared.finished or self.postponed)


class EmailQueue(ABC, Generic[ClaimT, EmailT]):
    """The database as one carrier sees it, for one kind of mail."""

    log_events: EmailLogEvents
    max_batch_size: int

    def __init__(self, container: Container, stop: threading.Event) -> None:
        self._container = container
        self._stop = stop

    @abstractmethod
    def has_due(self) -> bool:
        """Whether there is anything to claim."""

    @abstractmethod
    def claim_batch(self) -> EmailBatch[ClaimT, EmailT]:
        """Claim what is due and write its letters."""

    @abstractmethod
    def log_fields(self, claim: ClaimT) -> dict[str, str]:
        """Return what the log says about which mail it is."""

    @abstractmethod
    def _mark_sending(self, session: Session, claim: ClaimT, *, now: datetime.datetime) -> None:
        """Write down that a mail is about to leave.

        Raises:
            LeaseLost: it is not ours any more.
        """

    @abstractmethod
    def _record_result(self, session: Session, reply: DeliveryResult[ClaimT], *, now: datetime.datetime) -> None:
        """Write down what became of a mail.

        Raises:
            LeaseLost: it is not ours any more.
        """

    @abstractmethod
    def _record_and_mark_next(
        self, session: Session, reply: DeliveryResult[ClaimT], claim: ClaimT, *, now: datetime.datetime
    ) -> tuple[bool, bool]:
        """Do both in one statement where the database can; return whether each was still ours."""

    @abstractmethod
    def _fail_rendering(self, session: Session, claim: ClaimT, *, reason: str, now: datetime.datetime) -> None:
        """Write down that a letter could not be made into a mail.

        Raises:
            LeaseLost: it is not ours any more.
        """

    @abstractmethod
    def _complete(self, session: Session, claims: list[ClaimT], *, now: datetime.datetime) -> Counter[str]:
        """Settle a batch by what is on record of it; return how many mails came to which end."""

    def record_and_mark_next(self, reply: DeliveryResult[ClaimT] | None, claim: ClaimT) -> bool:
        """Put on record one mail's reply, and that the next is about to leave; return whether it is still ours."""
        now, transaction = self._container.clock(), self._container.database.autocommit
        if reply is None:
            return self._log_if_lease_lost(
                claim, self._retry_on_db_outage(transaction, self._holds_lease, self._mark_sending, claim, now=now)
            )
        recorded, begun = self._retry_on_db_outage(transaction, self._record_and_mark_next, reply, claim, now=now)
        self._log_if_lease_lost(reply.claim, recorded)
        return self._log_if_lease_lost(claim, begun)

    def fail_rendering(self, claim: ClaimT, reason: str) -> bool:
        """Put on record that a letter could not be made into a mail; return whether it was still ours."""
        now, transaction = self._container.clock(), self._container.database.transaction
        refused = self._retry_on_db_outage(
            transaction, self._holds_lease, self._fail_rendering, claim, reason=reason, now=now
        )
        return self._log_if_lease_lost(claim, refused)

    def suppress_address(self, address: str) -> None:
        """Put on record that no mail will ever reach this address."""
        now = self._container.clock()
        self._retry_on_db_outage(
            self._container.database.transaction, suppress, address, reason=SuppressionReason.HARD_BOUNCE, now=now
        )

    def complete_batch(self, reply: DeliveryResult[ClaimT] | None, claims: list[ClaimT]) -> Counter[str]:
        """Put the last reply on record and settle the whole batch; what was not begun goes back."""
        return self._retry_on_db_outage(self._container.database.transaction, self._complete_batch, reply, claims)

    def batch_size(self) -> int:
        """Return how much to claim at once."""
        rate = self._container.settings.mail.rate
        return (
            self.max_batch_size
            if rate is None
            else max(1, min(self.max_batch_size, int(rate * MAX_BATCH_SECONDS)))
        )

    def reserve_send_slots(
        self, session: Session, count: int, *, now: datetime.datetime
    ) -> list[datetime.datetime]:
        """Return the instants from which so many mails may leave."""
        rate = self._container.settings.mail.rate
        return [now] * count if rate is None else reserve_send_slots(session, rate=rate, count=count, now=now)

    def _complete_batch(
        self, session: Session, reply: DeliveryResult[ClaimT] | None, claims: list[ClaimT]
    ) -> Counter[str]:
        now = self._container.clock()
        if reply is not None:
            self._log_if_lease_lost(reply.claim, self._holds_lease(session, self._record_result, reply, now=now))
        return self._complete(session, claims, now=now)

    def _holds_lease(
        self,
        session: Session,
        write: Callable[Concatenate[Session, P], None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> bool:
        try:
            write(session, *args, **kwargs)
        except LeaseLost:
            return False
        return True

    def _retry_on_db_outage(
        self,
        transaction: TransactionFactory,
        write: Callable[Concatenate[Session, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Write until it is written, or for two minutes; what was committed unheard of is written twice."""
        began, pause = time.monotonic(), 0.1
        while True:
            try:
                with transaction() as session:
                    return write(session, *args, **kwargs)
            except DATABASE_UNAVAILABLE:
                longest = DB_RETRY_SECONDS_ON_SHUTDOWN if self._stop.is_set() else DB_RETRY_SECONDS
                if time.monotonic() - began > longest:
                    raise
                log.warning("database_away", retry_in=pause)
                time.sleep(pause)
                pause = min(pause * 2, 2)

    def _log_if_lease_lost(self, claim: ClaimT, is_ours: bool) -> bool:
        if not is_ours:
            log.info(self.log_events.lease_lost, **self.log_fields(claim))
        return is_ours


class NotificationQueue(EmailQueue[NotificationClaim, NotificationEmail]):
    """Notices, each of which is its own delivery record."""

    log_events = NOTIFICATION_LOG_EVENTS
    max_batch_size = 20

    def has_due(self) -> bool:
        """Whether a notice is due."""
        with self._container.database.read_only() as session:
            return oldest_due_notification_age(session, now=self._container.clock()) is not None

    def claim_batch(self) -> EmailBatch[NotificationClaim, NotificationEmail]:
        """Claim what is due and write its letters, in two transactions as for reminders."""
        container, now = self._container, self._container.clock()
        with container.database.transaction() as session:
            claims = claim_due_notifications(
                session,
                worker=container.worker_id,
                now=now,
                limit=self.batch_size(),
                lease=container.lease_duration,
            )
        with container.database.transaction() as session:
            prepared = build_notification_emails(session, claims, links=container.urls, now=now)
            slots = self.reserve_send_slots(session, len(prepared.emails), now=now)
        if prepared.finished["failed"]:
            log.warning("notices_unwritable", count=prepared.finished["failed"])
        return EmailBatch(prepared, slots)

    def log_fields(self, claim: NotificationClaim) -> dict[str, str]:
        """Return which notice it is."""
        return {"notice": str(claim.notification_id)}

    def _mark_sending(self, session: Session, claim: NotificationClaim, *, now: datetime.datetime) -> None:
        mark_notification_sending(session, claim, now=now)

    def _record_result(
        self, session: Session, reply: DeliveryResult[NotificationClaim], *, now: datetime.datetime
    ) -> None:
        record_notification_result(session, reply, now=now)

    def _record_and_mark_next(
        self,
        session: Session,
        reply: DeliveryResult[NotificationClaim],
        claim: NotificationClaim,
        *,
        now: datetime.datetime,
    ) -> tuple[bool, bool]:
        recorded = self._holds_lease(session, self._record_result, reply, now=now)
        return recorded, self._holds_lease(session, self._mark_sending, claim, now=now)

    def _fail_rendering(
        self, session: Session, claim: NotificationClaim, *, reason: str, now: datetime.datetime
    ) -> None:
        fail_notification_rendering(session, claim, reason=reason, now=now)

    def _complete(
        self, session: Session, claims: list[NotificationClaim], *, now: datetime.datetime
    ) -> Counter[str]:
        holds_doubtful = self._container.settings.mail.hold_uncertain
        return complete_notifications(session, claims, holds_doubtful=holds_doubtful, now=now)


def delivery_policy(container: Container) -> DeliveryPolicy:
    """Return what this deployment decides about mails in doubt and the length of a month."""
    return DeliveryPolicy(
        hold_uncertain=container.settings.mail.hold_uncertain, month_seconds=container.settings.month_seconds
    )


class ReminderQueue(EmailQueue[ReminderClaim, ReminderEmail]):
    """Reminders, with the delivery record of each occurrence."""

    log_events = REMINDER_LOG_EVENTS
    max_batch_size = 100

    def has_due(self) -> bool:
        """Whether a reminder is due."""
        with self._container.database.read_only() as session:
            return oldest_due_age(session, now=self._container.clock()) is not None

    def claim_batch(self) -> EmailBatch[ReminderClaim, ReminderEmail]:
        """Claim what is due and write its letters."""
        container, now = self._container, self._container.clock()
        with container.database.transaction() as session:
            claimed = claim_due_reminders(
                session,
                worker=container.worker_id,
                now=now,
                limit=self.batch_size(),
                lease=container.lease_duration,
                respect_sending_hours=container.settings.mail.respect_sending_hours,
            )
        # Not in one transaction: PostgreSQL looks again at what a row refers to if it changes twice in one, and a
        # reminder whose campaign was deleted could then not even fail.
        with container.database.transaction() as session:
            prepared = build_reminder_emails(
                session,
                claimed.claims,
                links=container.urls,
                now=now,
                month_seconds=container.settings.month_seconds,
            )
            slots = self.reserve_send_slots(session, len(prepared.emails), now=now)
        if prepared.finished["failed"]:
            log.warning("reminders_unwritable", count=prepared.finished["failed"])
        return EmailBatch(prepared, slots, claimed.postponed)

    def log_fields(self, claim: ReminderClaim) -> dict[str, str]:
        """Return which reminder it is."""
        return {"reminder": str(claim.reminder_id)}

    def _mark_sending(self, session: Session, claim: ReminderClaim, *, now: datetime.datetime) -> None:
        deliveries.mark_sending(session, claim, now=now)

    def _record_result(
        self, session: Session, reply: DeliveryResult[ReminderClaim], *, now: datetime.datetime
    ) -> None:
        deliveries.record_result(session, reply, now=now)

    def _record_and_mark_next(
        self,
        session: Session,
        reply: DeliveryResult[ReminderClaim],
        claim: ReminderClaim,
        *,
        now: datetime.datetime,
    ) -> tuple[bool, bool]:
        return deliveries.record_and_mark_next(session, reply, claim, now=now)

    def _fail_rendering(
        self, session: Session, claim: ReminderClaim, *, reason: str, now: datetime.datetime
    ) -> None:
        fail_rendering(session, claim, reason=reason, now=now)

    def _complete(self, session: Session, claims: list[ReminderClaim], *, now: datetime.datetime) -> Counter[str]:
        return complete_deliveries(session, claims, rules=delivery_policy(self._container), now=now)
