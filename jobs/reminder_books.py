"""The books of reminders: many at once, so that what is settled is settled in few statements."""

import datetime
from collections import Counter

import structlog
from sqlalchemy.orm import Session

from jobs.books import Batch, Books
from jobs.mail_events import REMINDERS
from service.desk import Container
from service.domain.mail import deliveries
from service.domain.mail.backlog import longest_wait
from service.domain.mail.claims import Claim, claim_due_reminders
from service.domain.mail.deliveries import Reply
from service.domain.mail.letters import write_letters
from service.domain.mail.settling import Rules, refuse_letter, settle
from service.domain.ports import ReminderEmail

log = structlog.get_logger()


def rules_of(container: Container) -> Rules:
    """Return what this deployment decides about mails in doubt and the length of a month."""
    return Rules(
        holds_doubtful=container.settings.mail.holds_doubtful, month_seconds=container.settings.month_seconds
    )


class ReminderBooks(Books[Claim, ReminderEmail]):
    """Reminders, with the delivery record of each occurrence."""

    events = REMINDERS
    largest_batch = 100

    def is_anything_due(self) -> bool:
        """Whether a reminder is due."""
        with self._container.database.read_only() as session:
            return longest_wait(session, now=self._container.clock()) is not None

    def claim(self) -> Batch[Claim, ReminderEmail]:
        """Claim what is due and write its letters."""
        container, now = self._container, self._container.clock()
        with container.database.transaction() as session:
            claimed = claim_due_reminders(
                session,
                worker=container.worker_id,
                now=now,
                limit=self.batch_size(),
                lease=container.lease_duration,
                keep_hours=container.settings.mail.keeps_hours,
            )
        # Not in one transaction: PostgreSQL looks again at what a row refers to if it changes twice in one, and a
        # reminder whose campaign was deleted could then not even fail.
        with container.database.transaction() as session:
            drafts = write_letters(
                session,
                claimed.claims,
                links=container.urls,
                now=now,
                month_seconds=container.settings.month_seconds,
            )
            slots = self.slots(session, len(drafts.letters), now=now)
        if drafts.ended["failed"]:
            log.warning("reminders_unwritable", count=drafts.ended["failed"])
        return Batch(drafts, slots, claimed.postponed)

    def names(self, claim: Claim) -> dict[str, str]:
        """Return which reminder it is."""
        return {"reminder": str(claim.reminder_id)}

    def _begin(self, session: Session, claim: Claim, *, now: datetime.datetime) -> None:
        deliveries.begin_delivery(session, claim, now=now)

    def _record(self, session: Session, reply: Reply[Claim], *, now: datetime.datetime) -> None:
        deliveries.record_reply(session, reply, now=now)

    def _pass_on(
        self, session: Session, reply: Reply[Claim], claim: Claim, *, now: datetime.datetime
    ) -> tuple[bool, bool]:
        return deliveries.pass_on(session, reply, claim, now=now)

    def _refuse(self, session: Session, claim: Claim, *, reason: str, now: datetime.datetime) -> None:
        refuse_letter(session, claim, reason=reason, now=now)

    def _settle(self, session: Session, claims: list[Claim], *, now: datetime.datetime) -> Counter[str]:
        return settle(session, claims, rules=rules_of(self._container), now=now)
