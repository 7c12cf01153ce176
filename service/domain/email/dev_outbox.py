"""Emails that the development mailer stored instead of sending, as /dev/outbox lists them."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.models.email import DevOutboxEmail
from service.domain.errors import EmailNotFound

MAX_LISTED = 100


def list_outbox_emails(session: Session) -> list[DevOutboxEmail]:
    """Return the latest 100 emails, newest first."""
    newest = (
        select(DevOutboxEmail).order_by(DevOutboxEmail.sent_at.desc(), DevOutboxEmail.id.desc()).limit(MAX_LISTED)
    )
    return list(session.scalars(newest))


def get_outbox_email(session: Session, email_id: uuid.UUID) -> DevOutboxEmail:
    """Return one stored email.

    Raises:
        EmailNotFound: no email has this id, or it was purged.
    """
    email = session.get(DevOutboxEmail, email_id)
    if email is None:
        raise EmailNotFound("No mail with this id is in the outbox.")
    return email
