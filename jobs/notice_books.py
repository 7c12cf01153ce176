"""The books of notices: few at once, so that whoever waits for a link to sign in waits for few mails before it."""

import datetime
from collections import Counter

import structlog
from sqlalchemy.orm import Session

from jobs.books import EmailBatch, EmailQueue
from jobs.mail_events import NOTIFICATION_LOG_EVENTS
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
from service.domain.ports import NotificationEmail
from service.domain.reminders.delivery import DeliveryResult

log = structlog.get_logger()


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
