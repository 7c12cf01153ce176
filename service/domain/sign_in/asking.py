"""Asking for a link to one's own page: whoever asks learns nothing of who is known here."""

import datetime

from sqlalchemy.orm import Session

from schemas.enums import NotificationKind
from service.db.base import new_id
from service.db.models.sign_in import SignIn
from service.db.upsert import execute_insert
from service.domain.email.outbox import enqueue_notification
from service.domain.supporters import lock_supporter_by_email


def request_sign_in(session: Session, address: str, *, lang: str, now: datetime.datetime) -> None:
    """Have a link sent to a normalised address, if it is anyone's whom we know; the address itself is not kept.

    The same two rows are written for everybody. The worker finds that a stranger's mail has nobody to go to.
    """
    supporter_id = lock_supporter_by_email(session, address)
    payload = new_id()
    execute_insert(session, SignIn, {"id": payload, "supporter_id": supporter_id, "asked_at": now})
    enqueue_notification(
        session,
        NotificationKind.SIGN_IN,
        str(payload),
        lang=lang,
        now=now,
        supporter_id=supporter_id,
        sign_in_id=payload,
    )
