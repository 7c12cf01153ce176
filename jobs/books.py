"""What a carrier takes from the database and puts there: claims, and what became of each mail.

What a mail server said is not heard twice, so that it is written down even if the database is away for a while.
"""

import datetime
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import exc
from sqlalchemy.orm import Session

from schemas.vocabulary import Suppressed
from service.desk import Desk
from service.domain.errors import LeaseLost
from service.domain.mail import deliveries
from service.domain.mail.backlog import longest_wait
from service.domain.mail.claims import Claim, claim_due_reminders
from service.domain.mail.deliveries import Reply
from service.domain.mail.letters import Drafts, write_letters
from service.domain.mail.pace import reserve_slots
from service.domain.mail.settling import Rules, refuse_letter, settle
from service.domain.suppression import suppress

BATCH = 100
# With a rate, no batch is larger than what leaves in this time, so that another worker finds something to do.
BATCH_SECONDS = 5
INSIST_SECONDS = 120
# Whoever stops a worker waits for it half a minute at most.
INSIST_SECONDS_WHEN_STOPPED = 10
DATABASE_AWAY = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")
Door = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True)
class Batch:
    """Some letters, the instant from which each may leave, and how many reminders wait for the morning instead."""

    drafts: Drafts
    slots: list[datetime.datetime]
    postponed: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was due."""
        return not (self.drafts.letters or self.drafts.ended or self.postponed)


def rules_of(desk: Desk) -> Rules:
    """Return what this deployment decides about mails in doubt and the length of a month."""
    return Rules(holds_doubtful=desk.settings.mail.holds_doubtful, month_seconds=desk.settings.month_seconds)


class Books:
    """The database as one carrier sees it."""

    def __init__(self, desk: Desk, stop: threading.Event) -> None:
        self._desk = desk
        self._stop = stop

    def is_anything_due(self) -> bool:
        """Whether there is anything to claim."""
        with self._desk.database.reading() as session:
            return longest_wait(session, now=self._desk.clock()) is not None

    def claim(self) -> Batch:
        """Claim what is due and write its letters."""
        desk, mail, now = self._desk, self._desk.settings.mail, self._desk.clock()
        limit = BATCH if mail.rate is None else max(1, min(BATCH, int(mail.rate * BATCH_SECONDS)))
        with desk.database.transaction() as session:
            claimed = claim_due_reminders(
                session,
                worker=desk.worker_id,
                now=now,
                limit=limit,
                lease=desk.lease,
                keep_hours=mail.keeps_hours,
            )
        # Not in one transaction: PostgreSQL looks again at what a row refers to if it changes twice in one, and a
        # reminder whose campaign was deleted could then not even fail.
        with desk.database.transaction() as session:
            drafts = write_letters(
                session, claimed.claims, links=desk.links, now=now, month_seconds=desk.settings.month_seconds
            )
            count = len(drafts.letters)
            slots = (
                [now] * count
                if mail.rate is None
                else reserve_slots(session, rate=mail.rate, count=count, now=now)
            )
        if drafts.ended["failed"]:
            log.warning("reminders_unwritable", count=drafts.ended["failed"])
        return Batch(drafts, slots, claimed.postponed)

    def pass_on(self, reply: Reply | None, claim: Claim) -> bool:
        """Put on record one mail's reply, and that the next is about to leave; return whether it is still ours."""
        database, now = self._desk.database, self._desk.clock()
        if reply is None:
            return self._insist(database.single_statement, self._begin, claim, now)
        recorded, begun = self._insist(database.single_statement, deliveries.pass_on, reply, claim, now=now)
        for is_ours, whose in ((recorded, reply.claim), (begun, claim)):
            if not is_ours:
                _say_lost(whose)
        return begun

    def refuse(self, claim: Claim, reason: str) -> bool:
        """Put on record that a letter could not be made into a mail; return whether it was still ours."""
        return self._insist(self._desk.database.transaction, self._refuse, claim, reason)

    def give_up(self, address: str) -> None:
        """Put on record that no mail will ever reach this address."""
        now = self._desk.clock()
        self._insist(self._desk.database.transaction, suppress, address, reason=Suppressed.HARD_BOUNCE, now=now)

    def finish(self, reply: Reply | None, claims: list[Claim]) -> Counter[str]:
        """Put the last reply on record and settle the whole batch; what was not begun goes back."""
        return self._insist(self._desk.database.transaction, self._finish, reply, claims)

    def _begin(self, session: Session, claim: Claim, now: datetime.datetime) -> bool:
        try:
            deliveries.begin_delivery(session, claim, now=now)
        except LeaseLost:
            _say_lost(claim)
            return False
        return True

    def _refuse(self, session: Session, claim: Claim, reason: str) -> bool:
        try:
            refuse_letter(session, claim, reason=reason, now=self._desk.clock())
        except LeaseLost:
            _say_lost(claim)
            return False
        return True

    def _finish(self, session: Session, reply: Reply | None, claims: list[Claim]) -> Counter[str]:
        now = self._desk.clock()
        if reply is not None:
            try:
                deliveries.record_reply(session, reply, now=now)
            except LeaseLost:
                _say_lost(reply.claim)
        return settle(session, claims, rules=rules_of(self._desk), now=now)

    def _insist(
        self, door: Door, write: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Write until it is written, or for two minutes; what was committed unheard of is written twice."""
        began, pause = time.monotonic(), 0.1
        while True:
            try:
                with door() as session:
                    return write(session, *args, **kwargs)
            except DATABASE_AWAY:
                longest = INSIST_SECONDS_WHEN_STOPPED if self._stop.is_set() else INSIST_SECONDS
                if time.monotonic() - began > longest:
                    raise
                log.warning("database_away", retry_in=pause)
                time.sleep(pause)
                pause = min(pause * 2, 2)


def _say_lost(claim: Claim) -> None:
    log.info("reminder_lease_lost", reminder=str(claim.reminder_id))
