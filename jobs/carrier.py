"""One connection's way with the mails: claim a few, send them one after the other, put on record what was said.

Between two mails stands one transaction: what the server said of the last, and that the next is about to leave. So
a worker that dies leaves at most the mail in its hand in doubt.
"""

import datetime
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import exc
from sqlalchemy.orm import Session

from schemas.vocabulary import DeliveryOutcome, Suppressed
from service.desk import Desk
from service.domain.errors import LeaseLost
from service.domain.mail.claims import Claim, claim_due_reminders
from service.domain.mail.deliveries import begin_delivery, record_reply
from service.domain.mail.letters import Drafts, unwritable, write_letters
from service.domain.mail.pace import reserve_slots
from service.domain.mail.settling import Rules, refuse_letter, settle
from service.domain.mail.suppression import suppress
from service.domain.ports import (
    Mail,
    MailDelayed,
    MailDoubtful,
    Mailer,
    MailRefused,
    MailServerAway,
    MailServerRefusesUs,
    ReminderLetter,
)

BATCH = 50
# With a rate, no batch is larger than what leaves in this time, so that another worker finds something to do.
BATCH_SECONDS = 5
INSIST_SECONDS = 120
DATABASE_AWAY = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """What became of one mail; not on record yet."""

    claim: Claim
    letter: ReminderLetter
    outcome: DeliveryOutcome
    words: str
    dead_address: bool = False


def rules_of(desk: Desk) -> Rules:
    """Return what this deployment decides about what is in doubt."""
    return Rules(holds_doubtful=desk.settings.mail.holds_doubtful, month_seconds=desk.settings.month_seconds)


class Carrier:
    """Sends what is due over one mailer until nothing is, or the worker is told to stop, or the server is away."""

    def __init__(self, desk: Desk, mailer: Mailer, stop: threading.Event) -> None:
        self._desk = desk
        self._mailer = mailer
        self._stop = stop
        self._settings = desk.settings.mail
        self.counts: Counter[str] = Counter()
        self.trouble: MailServerAway | None = None

    def run(self) -> None:
        """Carry batch after batch."""
        try:
            while not self._stop.is_set() and self.trouble is None:
                drafts, slots, postponed = self._claim()
                self.counts.update(drafts.ended, postponed=postponed)
                if drafts.ended["failed"]:
                    log.warning("reminders_unwritable", count=drafts.ended["failed"])
                if drafts.letters:
                    self._carry(drafts, slots)
                elif not drafts.ended and not postponed:
                    return
        finally:
            self._mailer.close()

    def _claim(self) -> tuple[Drafts, list[datetime.datetime], int]:
        """Return the letters of the next batch, when each may leave, and how many wait for the morning instead."""
        desk, rate, now = self._desk, self._settings.rate, self._desk.clock()
        limit = BATCH if rate is None else max(1, min(BATCH, int(rate * BATCH_SECONDS)))
        with desk.database.transaction() as session:
            claimed = claim_due_reminders(
                session,
                worker=desk.worker_id,
                now=now,
                limit=limit,
                lease=desk.lease,
                keep_hours=self._settings.keeps_hours,
            )
            drafts = write_letters(
                session, claimed.claims, links=desk.links, now=now, month_seconds=desk.settings.month_seconds
            )
            count = len(drafts.letters)
            slots = [now] * count if rate is None else reserve_slots(session, rate=rate, count=count, now=now)
        return drafts, slots, claimed.postponed

    def _carry(self, drafts: Drafts, slots: list[datetime.datetime]) -> None:
        claims = [claim for claim, _ in drafts.letters]
        reply: Reply | None = None
        try:
            for (claim, letter), slot in zip(drafts.letters, slots, strict=True):
                mail = self._write(claim, letter)
                if mail is None:
                    claims.remove(claim)
                    continue
                if self._is_stopped_before(slot):
                    break
                self._mailer.open()
                is_ours = self._insist(self._pass_on, reply, claim)
                reply = self._send(claim, letter, mail) if is_ours else None
                if self.trouble is not None:
                    break
        except MailServerAway as trouble:
            self.trouble = trouble
        finally:
            self.counts.update(self._insist(self._finish, reply, claims))

    def _write(self, claim: Claim, letter: ReminderLetter) -> Mail | None:
        """Return the mail; None if the letter cannot be made into one, which is then on record."""
        try:
            return self._mailer.write(letter)
        except Exception as error:
            log.exception("reminder_unwritable", reminder=str(claim.reminder_id))
            self._insist(self._refuse, claim, unwritable(error))
            return None

    def _is_stopped_before(self, slot: datetime.datetime) -> bool:
        """Wait for a mail's turn; return whether the worker was told to stop meanwhile."""
        wait = (slot - self._desk.clock()).total_seconds()
        return self._stop.wait(wait) if wait > 0 else self._stop.is_set()

    def _send(self, claim: Claim, letter: ReminderLetter, mail: Mail) -> Reply | None:
        """Send a mail; return what became of it, or None if that must stay in doubt."""
        try:
            words = self._mailer.send(mail)
        except MailServerAway as trouble:
            self.trouble = trouble
            needs_somebody = isinstance(trouble, MailServerRefusesUs)
            outcome = DeliveryOutcome.WITHDRAWN if needs_somebody else DeliveryOutcome.DEFERRED
            return Reply(claim, letter, outcome, str(trouble))
        except MailDoubtful as error:
            log.warning("reminder_in_doubt", reminder=str(claim.reminder_id), reason=str(error))
            held = self._settings.holds_doubtful
            return None if held else Reply(claim, letter, DeliveryOutcome.DEFERRED, str(error))
        except MailDelayed as error:
            log.warning("reminder_delayed", reminder=str(claim.reminder_id), reason=str(error))
            return Reply(claim, letter, DeliveryOutcome.DEFERRED, str(error))
        except MailRefused as error:
            log.warning("reminder_refused", reminder=str(claim.reminder_id), reason=str(error))
            return Reply(claim, letter, DeliveryOutcome.REJECTED, str(error), error.dead_address)
        except DATABASE_AWAY:
            # The mailer that keeps mails in the database; this is no fault of the reminder.
            raise
        except Exception as error:
            log.exception("reminder_failed", reminder=str(claim.reminder_id))
            return Reply(claim, letter, DeliveryOutcome.REJECTED, f"could not be sent: {type(error).__name__}")
        self._desk.breaker.reset()
        log.debug("reminder_sent", reminder=str(claim.reminder_id))
        return Reply(claim, letter, DeliveryOutcome.ACCEPTED, words)

    def _pass_on(self, session: Session, reply: Reply | None, claim: Claim) -> bool:
        """Put one mail's reply on record and begin the next; return whether the next is still ours to send."""
        self._record(session, reply)
        try:
            begin_delivery(session, claim, now=self._desk.clock())
        except LeaseLost:
            log.info("reminder_lease_lost", reminder=str(claim.reminder_id))
            return False
        return True

    def _finish(self, session: Session, reply: Reply | None, claims: list[Claim]) -> Counter[str]:
        """Put the last reply on record and settle the whole batch; what was not begun goes back."""
        self._record(session, reply)
        return settle(session, claims, rules=rules_of(self._desk), now=self._desk.clock())

    def _record(self, session: Session, reply: Reply | None) -> None:
        if reply is None:
            return
        now = self._desk.clock()
        try:
            record_reply(session, reply.claim, reply.outcome, reply=reply.words, now=now)
        except LeaseLost:
            log.info("reminder_lease_lost", reminder=str(reply.claim.reminder_id))
        if reply.dead_address:
            suppress(session, reply.letter.to, reason=Suppressed.HARD_BOUNCE, now=now)

    def _refuse(self, session: Session, claim: Claim, reason: str) -> None:
        try:
            refuse_letter(session, claim, reason=reason, now=self._desk.clock())
        except LeaseLost:
            log.info("reminder_lease_lost", reminder=str(claim.reminder_id))
        else:
            self.counts["failed"] += 1

    def _insist(self, write: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write it down even if the database is away for a while: what a mail server said is not heard twice.

        What is written may be written twice, since a commit whose answer was lost may have been one.
        """
        give_up_at = time.monotonic() + INSIST_SECONDS
        pause = 0.1
        while True:
            try:
                with self._desk.database.transaction() as session:
                    return write(session, *args, **kwargs)
            except DATABASE_AWAY:
                if time.monotonic() > give_up_at or self._stop.is_set():
                    raise
                log.warning("database_away", retry_in=pause)
                time.sleep(pause)
                pause = min(pause * 2, 2)
