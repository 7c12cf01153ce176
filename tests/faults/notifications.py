"""Emails of `tests.faults.state_machine` that are about no reminder: one of every such kind can be enqueued."""

import datetime
import uuid

from sqlalchemy import select

from schemas.enums import EmailKind, PledgeStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.email import OutgoingEmail
from service.db.models.email_change import EmailChange
from service.db.session import session_keyring
from service.domain.email.addresses import address_hashes
from service.domain.email.outbox import enqueue_alert
from service.domain.email_changes import LINK_TTL as EMAIL_CHANGE_LINK_TTL
from service.domain.email_changes import enqueue_old_address_notification, request_email_change
from service.domain.notifications.context import DATE_PASSED, MAX_AGE, TOO_OLD
from service.domain.sign_in import LINK_TTL, request_sign_in
from service.domain.supporters import get_or_create_supporter
from tests.jobs.notifications import enqueue, put_pledge

# Not one of the readers with reminders, because a reminder is skipped if its reader has given.
GIVER = "cy@news.example"
NEW_ADDRESS = "cy.new@news.example"
STAFF = "staff@news.example"
RECIPIENTS = {
    EmailKind.RECEIPT: GIVER,
    EmailKind.PAYMENT_FAILED: GIVER,
    EmailKind.RENEWAL: GIVER,
    EmailKind.CANCELLED: GIVER,
    EmailKind.REFUND: GIVER,
    EmailKind.MONTHLY_YEARLY: GIVER,
    EmailKind.PAUSED: GIVER,
    EmailKind.RESUMING: GIVER,
    EmailKind.PAUSE_MISSED: GIVER,
    EmailKind.RESUMED: GIVER,
    EmailKind.CHANGED: GIVER,
    EmailKind.SIGN_IN: GIVER,
    EmailKind.EMAIL_CHANGE: NEW_ADDRESS,
    EmailKind.EMAIL_CHANGED: GIVER,
    EmailKind.ALERT: STAFF,
}
RENEWS_IN = datetime.timedelta(days=15)
# An email that was not sent by then is skipped, for this reason; any other is sent however late it is.
USELESS_AFTER = {
    EmailKind.SIGN_IN: (LINK_TTL, TOO_OLD),
    EmailKind.EMAIL_CHANGE: (EMAIL_CHANGE_LINK_TTL, TOO_OLD),
    EmailKind.RECEIPT: (MAX_AGE, TOO_OLD),
    EmailKind.CANCELLED: (MAX_AGE, TOO_OLD),
    EmailKind.REFUND: (MAX_AGE, TOO_OLD),
    EmailKind.RENEWAL: (RENEWS_IN, DATE_PASSED),
    EmailKind.PAUSED: (RENEWS_IN, DATE_PASSED),
    EmailKind.RESUMING: (RENEWS_IN, DATE_PASSED),
}


def enqueue_notification(container: Container, kind: EmailKind) -> set[uuid.UUID]:
    """Enqueue an email of this kind with what it is about; return its id, or nothing if its mailbox had enough."""
    before = notification_ids(container)
    now = container.clock()
    match kind:
        case EmailKind.PAYMENT_FAILED:
            pledge_id = put_pledge(container, to=GIVER, status=PledgeStatus.PAST_DUE)
            enqueue(container, kind, to=GIVER, pledge_id=pledge_id)
        case EmailKind.CANCELLED:
            pledge_id = put_pledge(container, to=GIVER, status=PledgeStatus.CANCELLED, ended_at=now)
            enqueue(container, kind, to=GIVER, pledge_id=pledge_id)
        case EmailKind.RENEWAL | EmailKind.PAUSED | EmailKind.RESUMING:
            pledge_id = put_pledge(container, to=GIVER, renews_at=now + RENEWS_IN)
            enqueue(container, kind, to=GIVER, pledge_id=pledge_id, event_date=(now + RENEWS_IN).date())
        case EmailKind.RECEIPT | EmailKind.REFUND:
            enqueue(container, kind, to=GIVER)
        case EmailKind.MONTHLY_YEARLY | EmailKind.PAUSE_MISSED | EmailKind.RESUMED | EmailKind.CHANGED:
            pledge_id = put_pledge(container, to=GIVER, renews_at=now + RENEWS_IN)
            enqueue(container, kind, to=GIVER, pledge_id=pledge_id)
        case _:
            _enqueue_without_pledge(container, kind, now)
    return notification_ids(container) - before


def notification_ids(container: Container) -> set[uuid.UUID]:
    """Return the ids of all emails that are about no reminder."""
    with container.database.read_only() as session:
        return set(session.scalars(select(OutgoingEmail.id).where(OutgoingEmail.reminder_id.is_(None))))


def may_be_skipped(email: OutgoingEmail, now: datetime.datetime) -> bool:
    """Whether a skipped email is no longer useful."""
    if email.kind not in USELESS_AFTER:
        return False
    after, reason = USELESS_AFTER[email.kind]
    # The date of a renewal is a day, and the others are instants.
    slack = datetime.timedelta(days=1) if reason == DATE_PASSED else datetime.timedelta(0)
    return email.reason == reason and now >= email.created_at + after - slack


def _enqueue_without_pledge(container: Container, kind: EmailKind, now: datetime.datetime) -> None:
    with container.database.transaction() as session:
        supporter_id = get_or_create_supporter(session, GIVER, now=now)
        match kind:
            case EmailKind.SIGN_IN:
                request_sign_in(session, GIVER, lang="en", now=now)
            case EmailKind.EMAIL_CHANGE:
                request_email_change(session, supporter_id, NEW_ADDRESS, lang="en", now=now)
            case EmailKind.EMAIL_CHANGED:
                change = EmailChange(
                    id=new_id(),
                    supporter_id=supporter_id,
                    new_email=NEW_ADDRESS,
                    new_email_hash=address_hashes(session_keyring(session), NEW_ADDRESS)[0],
                    old_email=GIVER,
                    requested_at=now,
                    confirmed_at=now,
                )
                session.add(change)
                session.flush()
                enqueue_old_address_notification(session, change, lang="en", now=now)
            case EmailKind.ALERT:
                enqueue_alert(session, str(new_id()), subject="Look at this", body="Please.", now=now)
