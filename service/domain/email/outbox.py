"""Writing down that a mail is to leave; a job sends it (see `jobs.notifications`)."""

import datetime
import uuid

from sqlalchemy.orm import Session

from schemas.enums import NotificationKind, NotificationStatus
from service.db.base import new_id
from service.db.models.email import Notification
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
    event_date: datetime.date | None = None,
) -> bool:
    """Have a mail leave at `due_at`, else at once, unless one of this kind about the same was written down before.

    `dedup_key` names what it is about for good, such as a payment's id, so that whoever comes to the same
    conclusion
    twice says it once. Returns whether it is new.
    """
    row = {
        "id": new_id(),
        "kind": kind,
        "dedup_key": dedup_key,
        "supporter_id": supporter_id,
        "pledge_id": pledge_id,
        "payment_id": payment_id,
        "sign_in_id": sign_in_id,
        "event_date": event_date,
        "lang": lang,
        "status": NotificationStatus.SCHEDULED,
        "due_at": due_at or now,
        "created_at": now,
        "lease_number": 0,
        "attempts": 0,
    }
    return insert_on_conflict_do_nothing(session, Notification, row, unique=("kind", "dedup_key"))
