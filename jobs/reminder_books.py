"""The books of reminders: many at once, so that what is settled is settled in few statements."""

import datetime
from collections import Counter

import structlog
from sqlalchemy.orm import Session

from jobs.books import EmailBatch, EmailQueue
from jobs.mail_events import REMINDER_LOG_EVENTS
from service.container import Container
from service.domain.ports import ReminderEmail
from service.domain.reminders import delivery as deliveries
from service.domain.reminders.delivery import DeliveryPolicy, DeliveryResult, complete_deliveries, fail_rendering
from service.domain.reminders.emails import build_reminder_emails
from service.domain.reminders.queue import ReminderClaim, claim_due_reminders, oldest_due_age

log = structlog.get_logger()


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
