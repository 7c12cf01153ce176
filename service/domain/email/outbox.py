"""The transactional outbox of notifications: a row is written here, and `jobs.notifications` sends it."""

import datetime
import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import NotificationKind, NotificationStatus
from service.db.base import new_id
from service.db.models.email import Notification
from service.db.models.pledge import Installation
from service.db.upsert import insert_on_conflict_do_nothing


def enqueue_notification(
    session: Session,
    kind: NotificationKind,
    dedup_key: str,
    *,
    lang: str,
    now: datetime.datetime,
    due_at: datetime.datetime | None = None,
    supporter_id: uuid.UUID | None = None,
    pledge_id: uuid.UUID | None = None,
    payment_id: uuid.UUID | None = None,
    sign_in_id: uuid.UUID | None = None,
    email_change_id: uuid.UUID | None = None,
    event_date: datetime.date | None = None,
    subject: str | None = None,
    body: str | None = None,
    happened_at: datetime.datetime | None = None,
) -> bool:
    """Enqueue a notification that is due at `due_at`, or now; return False if it was enqueued before.

    `dedup_key` identifies the event, such as a payment's id, and is never reused. There is one notification for
    each kind and key, so that handling an event twice sends one email. It is held if what it reports `happened_at`
    an instant before which the emails were sent, as far as a restored backup is known to have missed them.
    """
    row = {
        "id": new_id(),
        "kind": kind,
        "dedup_key": dedup_key,
        "supporter_id": supporter_id,
        "pledge_id": pledge_id,
        "payment_id": payment_id,
        "sign_in_id": sign_in_id,
        "email_change_id": email_change_id,
        "event_date": event_date,
        "subject": subject,
        "body": body,
        "lang": lang,
        "status": NotificationStatus.SCHEDULED,
        "due_at": due_at or now,
        "created_at": now,
        "lease_number": 0,
        "attempts": 0,
        "held_at": now if happened_at is not None and _was_reported(session, happened_at) else None,
    }
    return insert_on_conflict_do_nothing(session, Notification, row, unique=("kind", "dedup_key"))


def _was_reported(session: Session, happened_at: datetime.datetime) -> bool:
    sent_before = session.scalar(select(Installation.sent_before))
    return sent_before is not None and happened_at < sent_before


def enqueue_alert(session: Session, topic: str, *, subject: str, body: str, now: datetime.datetime) -> bool:
    """Enqueue an email to staff, at most one for each `topic` and day in UTC; return False if there is one.

    It goes to the addresses in ALERT_EMAIL, or is skipped if there is none. `subject` and `body` are plain English
    without personal data. The body says what happened and what to do, in paragraphs between blank lines.
    """
    return enqueue_notification(
        session,
        NotificationKind.ALERT,
        f"{topic}@{now.date()}",
        lang="en",
        now=now,
        subject=subject,
        body=body,
    )
