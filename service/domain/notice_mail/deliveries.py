"""The record of a notice's mail, in its own row: written before it leaves, completed by what the server said."""

import datetime

from sqlalchemy import func, or_, update
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, NotificationStatus
from service.db.models.email import Notification, status_is
from service.domain.errors import LeaseLost
from service.domain.mail.deliveries import MAX_REPLY_LENGTH, DeliveryResult
from service.domain.notice_mail.claims import NotificationClaim


def mark_notification_sending(session: Session, claim: NotificationClaim, *, now: datetime.datetime) -> None:
    """Write down that this mail is about to leave: one more attempt.

    Raises:
        LeaseLost: the notice was taken over or forgotten since it was claimed, or its mail has left.
    """
    begun = session.execute(
        update(Notification)
        .where(
            Notification.id == claim.notification_id,
            Notification.lease_number == claim.lease_number,
            status_is(NotificationStatus.SENDING),
            # A mail that was accepted is not sent again, even if its worker came back too late to say so.
            func.coalesce(Notification.outcome, DeliveryOutcome.SENDING) != DeliveryOutcome.ACCEPTED,
        )
        .values(
            attempts=Notification.attempts + 1,
            outcome=DeliveryOutcome.SENDING,
            began_at=now,
            reply=None,
            ended_at=None,
        )
        .returning(Notification.id)
        .execution_options(synchronize_session=False)
    ).first()
    if begun is None:
        raise LeaseLost("This notice was taken over or forgotten since it was claimed.")


def record_notification_result(
    session: Session, reply: DeliveryResult[NotificationClaim], *, now: datetime.datetime
) -> None:
    """Write down what became of a mail; writing it twice changes nothing.

    An attempt that is `withdrawn` is not counted: the server would have taken no mail from us, whoever it is for.

    Raises:
        LeaseLost: another worker has taken this notice since.
    """
    withdrawn = reply.outcome == DeliveryOutcome.NOT_ATTEMPTED
    leaving = Notification.outcome == DeliveryOutcome.SENDING
    recorded = session.execute(
        update(Notification)
        .where(
            Notification.id == reply.claim.notification_id,
            Notification.lease_number == reply.claim.lease_number,
            # Saying the same again is no contradiction; but an attempt must not be taken back twice.
            leaving if withdrawn else or_(leaving, Notification.outcome == reply.outcome),
        )
        .values(
            attempts=Notification.attempts - (1 if withdrawn else 0),
            outcome=reply.outcome,
            reply=reply.smtp_reply[:MAX_REPLY_LENGTH],
            ended_at=now,
        )
        .returning(Notification.id)
        .execution_options(synchronize_session=False)
    ).first()
    if recorded is None:
        raise LeaseLost("Another worker has taken this notice since.")
