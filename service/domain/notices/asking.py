"""Writing down that a mail is to leave; a job sends it (see `jobs.send_notices`)."""

import datetime
import uuid

from sqlalchemy.orm import Session

from schemas.vocabulary import NotificationKind, NotificationStatus
from service.db.base import new_id
from service.db.notice import Notice
from service.db.upsert import insert_on_conflict_do_nothing


def put_notice(
    session: Session,
    kind: NotificationKind,
    about: str,
    *,
    lang: str,
    now: datetime.datetime,
    due_at: datetime.datetime | None = None,
    supporter_id: uuid.UUID | None = None,
    pledge_id: uuid.UUID | None = None,
    payment_id: uuid.UUID | None = None,
    sign_in_id: uuid.UUID | None = None,
    falls_on: datetime.date | None = None,
) -> bool:
    """Have a mail leave at `due_at`, else at once, unless one of this kind about the same was written down before.

    `about` names what it is about for good, such as a payment's id, so that whoever comes to the same conclusion
    twice says it once. Returns whether it is new.
    """
    row = {
        "id": new_id(),
        "kind": kind,
        "about": about,
        "supporter_id": supporter_id,
        "pledge_id": pledge_id,
        "payment_id": payment_id,
        "sign_in_id": sign_in_id,
        "falls_on": falls_on,
        "lang": lang,
        "status": NotificationStatus.SCHEDULED,
        "due_at": due_at or now,
        "created_at": now,
        "lease_number": 0,
        "attempts": 0,
    }
    return insert_on_conflict_do_nothing(session, Notice, row, unique=("kind", "about"))
