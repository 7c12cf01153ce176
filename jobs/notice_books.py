"""The books of notices: few at once, so that whoever waits for a link to sign in waits for few mails before it."""

import datetime
from collections import Counter

import structlog
from sqlalchemy.orm import Session

from jobs.books import EmailBatch, EmailQueue
from jobs.mail_events import NOTIFICATION_LOG_EVENTS
from service.domain.mail.deliveries import DeliveryResult
from service.domain.notice_mail.claims import NoticeClaim, claim_due_notices, longest_notice_wait
from service.domain.notice_mail.deliveries import begin_notice, record_notice_reply
from service.domain.notice_mail.letters import write_notices
from service.domain.notice_mail.settling import refuse_notice, settle_notices
from service.domain.ports import NotificationEmail

log = structlog.get_logger()


class NotificationQueue(EmailQueue[NoticeClaim, NotificationEmail]):
    """Notices, each of which is its own delivery record."""

    log_events = NOTIFICATION_LOG_EVENTS
    max_batch_size = 20

    def has_due(self) -> bool:
        """Whether a notice is due."""
        with self._container.database.read_only() as session:
            return longest_notice_wait(session, now=self._container.clock()) is not None

    def claim_batch(self) -> EmailBatch[NoticeClaim, NotificationEmail]:
        """Claim what is due and write its letters, in two transactions as for reminders."""
        container, now = self._container, self._container.clock()
        with container.database.transaction() as session:
            claims = claim_due_notices(
                session,
                worker=container.worker_id,
                now=now,
                limit=self.batch_size(),
                lease=container.lease_duration,
            )
        with container.database.transaction() as session:
            prepared = write_notices(session, claims, links=container.urls, now=now)
            slots = self.reserve_send_slots(session, len(prepared.emails), now=now)
        if prepared.finished["failed"]:
            log.warning("notices_unwritable", count=prepared.finished["failed"])
        return EmailBatch(prepared, slots)

    def log_fields(self, claim: NoticeClaim) -> dict[str, str]:
        """Return which notice it is."""
        return {"notice": str(claim.notice_id)}

    def _mark_sending(self, session: Session, claim: NoticeClaim, *, now: datetime.datetime) -> None:
        begin_notice(session, claim, now=now)

    def _record_result(
        self, session: Session, reply: DeliveryResult[NoticeClaim], *, now: datetime.datetime
    ) -> None:
        record_notice_reply(session, reply, now=now)

    def _record_and_mark_next(
        self, session: Session, reply: DeliveryResult[NoticeClaim], claim: NoticeClaim, *, now: datetime.datetime
    ) -> tuple[bool, bool]:
        recorded = self._holds_lease(session, self._record_result, reply, now=now)
        return recorded, self._holds_lease(session, self._mark_sending, claim, now=now)

    def _fail_rendering(
        self, session: Session, claim: NoticeClaim, *, reason: str, now: datetime.datetime
    ) -> None:
        refuse_notice(session, claim, reason=reason, now=now)

    def _complete(self, session: Session, claims: list[NoticeClaim], *, now: datetime.datetime) -> Counter[str]:
        holds_doubtful = self._container.settings.mail.holds_doubtful
        return settle_notices(session, claims, holds_doubtful=holds_doubtful, now=now)
