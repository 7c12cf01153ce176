"""Mails that were kept instead of sent, as the demonstration's outbox shows them."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.models.email import DevOutboxEmail
from service.domain.errors import EmailNotFound

MAX_LISTED = 100


def list_outbox_emails(session: Session) -> list[DevOutboxEmail]:
    """Return the newest mails, the newest first."""
    newest = (
        select(DevOutboxEmail).order_by(DevOutboxEmail.sent_at.desc(), DevOutboxEmail.id.desc()).limit(MAX_LISTED)
    )
    return list(session.scalars(newest))


def get_outbox_email(session: Session, mail_id: uuid.UUID) -> DevOutboxEmail:
    """Return one mail.

    Raises:
        EmailNotFound: none with this id was kept, or it was erased.
    """
    mail = session.get(DevOutboxEmail, mail_id)
    if mail is None:
        raise EmailNotFound("No mail with this id is in the outbox.")
    return mail
