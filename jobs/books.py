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

from jobs.mail_events import MailEvents
from schemas.vocabulary import SuppressionReason
from service.desk import Container
from service.domain.errors import LeaseLost
from service.domain.mail.deliveries import Reply
from service.domain.mail.drafts import Drafts
from service.domain.mail.pace import reserve_slots
from service.domain.ports import Email
from service.domain.suppression import suppress

# With a rate, no batch is larger than what leaves in this time, so that another worker finds something to do.
BATCH_SECONDS = 5
INSIST_SECONDS = 120
# Whoever stops a worker waits for it half a minute at most.
INSIST_SECONDS_WHEN_STOPPED = 10
DATABASE_AWAY = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")
L = TypeVar("L", bound=Email)
Door = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True)
class Batch(Generic[C, L]):
    """Some letters, the instant from which each may leave, and how many mails wait for the morning instead."""

    drafts: Drafts[C, L]
    slots: list[datetime.datetime]
    postponed: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was due."""
        return not (self.drafts.letters or self.drafts.ended or self.postponed)


class Books(ABC, Generic[C, L]):
    """The database as one carrier sees it, for one kind of mail."""

    events: MailEvents
    largest_batch: int

    def __init__(self, container: Container, stop: threading.Event) -> None:
        self._container = container
        self._stop = stop

    @abstractmethod
    def is_anything_due(self) -> bool:
        """Whether there is anything to claim."""

    @abstractmethod
    def claim(self) -> Batch[C, L]:
        """Claim what is due and write its letters."""

    @abstractmethod
    def names(self, claim: C) -> dict[str, str]:
        """Return what the log says about which mail it is."""

    @abstractmethod
    def _begin(self, session: Session, claim: C, *, now: datetime.datetime) -> None:
        """Write down that a mail is about to leave.

        Raises:
            LeaseLost: it is not ours any more.
        """

    @abstractmethod
    def _record(self, session: Session, reply: Reply[C], *, now: datetime.datetime) -> None:
        """Write down what became of a mail.

        Raises:
            LeaseLost: it is not ours any more.
        """

    @abstractmethod
    def _pass_on(
        self, session: Session, reply: Reply[C], claim: C, *, now: datetime.datetime
    ) -> tuple[bool, bool]:
        """Do both in one statement where the database can; return whether each was still ours."""

    @abstractmethod
    def _refuse(self, session: Session, claim: C, *, reason: str, now: datetime.datetime) -> None:
        """Write down that a letter could not be made into a mail.

        Raises:
            LeaseLost: it is not ours any more.
        """

    @abstractmethod
    def _settle(self, session: Session, claims: list[C], *, now: datetime.datetime) -> Counter[str]:
        """Settle a batch by what is on record of it; return how many mails came to which end."""

    def pass_on(self, reply: Reply[C] | None, claim: C) -> bool:
        """Put on record one mail's reply, and that the next is about to leave; return whether it is still ours."""
        now, transaction = self._container.clock(), self._container.database.autocommit
        if reply is None:
            return self._unless_lost(claim, self._insist(transaction, self._is_ours, self._begin, claim, now=now))
        recorded, begun = self._insist(transaction, self._pass_on, reply, claim, now=now)
        self._unless_lost(reply.claim, recorded)
        return self._unless_lost(claim, begun)

    def refuse(self, claim: C, reason: str) -> bool:
        """Put on record that a letter could not be made into a mail; return whether it was still ours."""
        now, transaction = self._container.clock(), self._container.database.transaction
        refused = self._insist(transaction, self._is_ours, self._refuse, claim, reason=reason, now=now)
        return self._unless_lost(claim, refused)

    def give_up(self, address: str) -> None:
        """Put on record that no mail will ever reach this address."""
        now = self._container.clock()
        self._insist(
            self._container.database.transaction, suppress, address, reason=SuppressionReason.HARD_BOUNCE, now=now
        )

    def finish(self, reply: Reply[C] | None, claims: list[C]) -> Counter[str]:
        """Put the last reply on record and settle the whole batch; what was not begun goes back."""
        return self._insist(self._container.database.transaction, self._finish, reply, claims)

    def batch_size(self) -> int:
        """Return how much to claim at once."""
        rate = self._container.settings.mail.rate
        return self.largest_batch if rate is None else max(1, min(self.largest_batch, int(rate * BATCH_SECONDS)))

    def slots(self, session: Session, count: int, *, now: datetime.datetime) -> list[datetime.datetime]:
        """Return the instants from which so many mails may leave."""
        rate = self._container.settings.mail.rate
        return [now] * count if rate is None else reserve_slots(session, rate=rate, count=count, now=now)

    def _finish(self, session: Session, reply: Reply[C] | None, claims: list[C]) -> Counter[str]:
        now = self._container.clock()
        if reply is not None:
            self._unless_lost(reply.claim, self._is_ours(session, self._record, reply, now=now))
        return self._settle(session, claims, now=now)

    def _is_ours(
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

    def _insist(
        self, transaction: Door, write: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Write until it is written, or for two minutes; what was committed unheard of is written twice."""
        began, pause = time.monotonic(), 0.1
        while True:
            try:
                with transaction() as session:
                    return write(session, *args, **kwargs)
            except DATABASE_AWAY:
                longest = INSIST_SECONDS_WHEN_STOPPED if self._stop.is_set() else INSIST_SECONDS
                if time.monotonic() - began > longest:
                    raise
                log.warning("database_away", retry_in=pause)
                time.sleep(pause)
                pause = min(pause * 2, 2)

    def _unless_lost(self, claim: C, is_ours: bool) -> bool:
        if not is_ours:
            log.info(self.events.lease_lost, **self.names(claim))
        return is_ours
