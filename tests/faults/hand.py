"""A worker whose every step is taken by hand, so that it can stop, freeze or vanish between any two of them."""

import datetime
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from schemas.vocabulary import DeliveryOutcome
from service.desk import Desk
from service.domain.errors import LeaseLost
from service.domain.mail.claims import Claim, claim_due_reminders, renew_leases
from service.domain.mail.deliveries import Reply, begin_delivery, pass_on, record_reply
from service.domain.mail.letters import write_letters
from service.domain.mail.settling import Rules, settle
from service.domain.ports import ReminderLetter

LEASE = datetime.timedelta(minutes=1)
Mail = tuple[uuid.UUID, int]
"""A reminder and its occurrence."""


class Post:
    """Where the mails arrive, each in one copy; `excuses` counts the crashes that allow for one more of a mail."""

    def __init__(self) -> None:
        self.copies: Counter[Mail] = Counter()
        self.excuses: Counter[Mail] = Counter()


class Hand:
    """One worker. It holds drafts, perhaps a mail that has begun, and perhaps a reply that is not on record."""

    def __init__(
        self, desk: Desk, post: Post, rules: Rules, check: Callable[[Claim, ReminderLetter], None]
    ) -> None:
        self._desk, self._post, self._rules, self._check = desk, post, rules, check
        self.is_frozen = False
        self._forget()

    def _forget(self) -> None:
        self._name = uuid.uuid4()
        self._claims: list[Claim] = []
        self._drafts: list[tuple[Claim, ReminderLetter]] = []
        self._mail: Claim | None = None
        self._reply: Reply | None = None

    @property
    def is_idle(self) -> bool:
        return not self._claims

    def take_a_step(self, answer: tuple[DeliveryOutcome, bool]) -> None:
        """Do what comes next: claim, begin a mail, hear the server's answer to it, or settle the batch."""
        if self.is_idle:
            self._claim()
        elif self._mail is not None:
            self._hear(self._mail, *answer)
        elif self._drafts:
            self._go_on(*self._drafts.pop(0))
        else:
            self._finish()

    def _claim(self) -> None:
        now = self._desk.clock()
        with self._desk.database.transaction() as session:
            claimed = claim_due_reminders(
                session, worker=self._name, now=now, limit=3, lease=LEASE, keep_hours=True
            )
            self._claims = claimed.claims
            self._drafts = write_letters(session, claimed.claims, links=self._desk.links, now=now).letters

    def renew(self) -> None:
        with self._desk.database.transaction() as session:
            renew_leases(session, worker=self._name, now=self._desk.clock(), lease=LEASE)

    def _go_on(self, claim: Claim, letter: ReminderLetter) -> None:
        """Put the last reply on record, if there is one, and begin the next mail in the same transaction."""
        reply, self._reply = self._reply, None
        now = self._desk.clock()
        begun = False
        with self._desk.database.transaction() as session:
            if reply is not None:
                _, begun = pass_on(session, reply, claim, now=now)
            else:
                with suppress(LeaseLost):
                    begun = begin_delivery(session, claim, now=now) > 0
        if begun:
            self._mail = claim
            self._check(claim, letter)

    def _hear(self, mail: Claim, outcome: DeliveryOutcome, arrives: bool) -> None:
        """Get an answer to the mail that has begun; it may have arrived although the answer is a bad one."""
        self._mail = None
        if arrives:
            self._post.copies[mail.reminder_id, mail.occurrence] += 1
        if arrives and outcome == DeliveryOutcome.DEFERRED:
            # The connection broke before the reply: in doubt, as after a crash.
            self._excuse(mail)
            if self._rules.holds_doubtful:
                return
        self._reply = Reply(mail, outcome, "so said the server")

    def _finish(self) -> None:
        """Settle the batch, whatever of it was not begun."""
        with self._desk.database.transaction() as session:
            if self._reply is not None:
                with suppress(LeaseLost):
                    record_reply(session, self._reply, now=self._desk.clock())
            settle(session, self._claims, rules=self._rules, now=self._desk.clock())
        self._forget()

    def crash(self) -> None:
        """End between any two steps; another worker starts in its place."""
        self._lose_hold()
        self.is_frozen = False
        self._forget()

    def freeze(self) -> None:
        """Stop without ending, as a machine that sleeps; its leases run out, and it comes back unaware."""
        self._lose_hold()
        self.is_frozen = True

    def _lose_hold(self) -> None:
        for mail in (self._mail, self._reply.claim if self._reply else None):
            if mail is not None:
                self._excuse(mail)

    def _excuse(self, mail: Claim) -> None:
        if not self._rules.holds_doubtful:
            self._post.excuses[mail.reminder_id, mail.occurrence] += 1
