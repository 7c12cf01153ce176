"""A supporter's own request for another email address, confirmed by a link in an email to the new address.

A request looks the same whether or not the new address is known. The link is a signed token that works once, and
only the latest request of a supporter counts.
"""

import datetime
import uuid

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, aliased

from schemas.enums import EmailKind
from service.db.base import new_id
from service.db.keyring import Keyring
from service.db.models.email_change import EmailChange
from service.db.session import session_keyring
from service.domain.email.addresses import address_hashes
from service.domain.email.mailbox_limits import EMAIL_CHANGE, take_slot
from service.domain.email.outbox import enqueue_email
from service.domain.errors import EmailChangeLinkExpired
from service.domain.tokens import InvalidToken, issue_token, verify_token

LINK_TTL = datetime.timedelta(hours=24)
# With the day in which a change is confirmed, not longer than the request is kept.
UNDO_TTL = datetime.timedelta(days=6)
PURPOSE = "change email address"
UNDO_PURPOSE = "undo change of email address"


def request_email_change(
    session: Session, supporter_id: uuid.UUID, address: str, *, lang: str, now: datetime.datetime
) -> None:
    """Enqueue an email with a confirmation link to a supporter's new normalised address.

    Nothing is enqueued beyond the limit of its mailbox, and the last link stays the valid one.
    """
    if not take_slot(session, address, EMAIL_CHANGE, now=now):
        return
    change = EmailChange(
        id=new_id(),
        supporter_id=supporter_id,
        new_email=address,
        new_email_hash=address_hashes(session_keyring(session), address)[0],
        requested_at=now,
    )
    session.add(change)
    # The notification refers to the row.
    session.flush()
    _enqueue(session, EmailKind.EMAIL_CHANGE, change, lang=lang, now=now)


def add_confirmed_change(
    session: Session, supporter_id: uuid.UUID, *, old: str | None, new: str, now: datetime.datetime
) -> EmailChange:
    """Add a change that needs no link, and that nobody can undo."""
    keyring = session_keyring(session)
    change = EmailChange(
        id=new_id(),
        supporter_id=supporter_id,
        new_email=new,
        new_email_hash=address_hashes(keyring, new)[0],
        old_email=old,
        old_email_hash=None if old is None else address_hashes(keyring, old)[0],
        requested_at=now,
        confirmed_at=now,
    )
    session.add(change)
    # The notification refers to the row.
    session.flush()
    return change


def enqueue_old_address_notification(
    session: Session, change: EmailChange, *, lang: str, now: datetime.datetime
) -> None:
    """Enqueue the email that tells the old address of a change."""
    _enqueue(session, EmailKind.EMAIL_CHANGED, change, lang=lang, now=now)


def email_change_token(keyring: Keyring, change_id: uuid.UUID, requested_at: datetime.datetime) -> str:
    """Return the token of the confirmation link."""
    return issue_token(keyring, purpose=PURPOSE, subject=change_id, expires_at=requested_at + LINK_TTL)


def find_open_change(
    session: Session, token: str, *, now: datetime.datetime, for_update: bool = False
) -> EmailChange:
    """Return the request that a link confirms. The check does not use the link up.

    Raises:
        EmailChangeLinkExpired: the link was used before, has expired, is not the latest, or never existed.
    """
    change_id = _verify(session, PURPOSE, token, now)
    newer = aliased(EmailChange)
    query = select(EmailChange).where(
        EmailChange.id == change_id,
        EmailChange.confirmed_at.is_(None),
        ~exists().where(newer.supporter_id == EmailChange.supporter_id, newer.id > EmailChange.id),
    )
    if for_update:
        query = query.with_for_update().execution_options(populate_existing=True)
    change = session.scalar(query)
    if change is None:
        raise _link_expired()
    return change


def undo_token(keyring: Keyring, change_id: uuid.UUID, undo_until: datetime.datetime) -> str:
    """Return the token of the link by which the owner of the old address undoes a change."""
    return issue_token(keyring, purpose=UNDO_PURPOSE, subject=change_id, expires_at=undo_until)


def find_undoable_change(
    session: Session, token: str, *, now: datetime.datetime, for_update: bool = False
) -> EmailChange:
    """Return the confirmed change that a link undoes. The check does not use the link up.

    Raises:
        EmailChangeLinkExpired: the change was undone, is too old, was followed by a merge, or never existed.
    """
    change_id = _verify(session, UNDO_PURPOSE, token, now)
    query = select(EmailChange).where(EmailChange.id == change_id, EmailChange.undo_until > now)
    if for_update:
        query = query.with_for_update().execution_options(populate_existing=True)
    change = session.scalar(query)
    if change is None or change.old_email is None:
        raise _link_expired()
    return change


def is_confirmed(session: Session, token: str, *, now: datetime.datetime) -> bool:
    """Whether the change that a link confirms was made, and is the latest.

    Raises:
        EmailChangeLinkExpired: the link has expired or never existed.
    """
    change = session.get(EmailChange, _verify(session, PURPOSE, token, now))
    return change is not None and _latest_change(session, change) is change


def is_undone(session: Session, token: str, *, now: datetime.datetime) -> bool:
    """Whether the latest change gave back the address to which this link to undo one was sent.

    Raises:
        EmailChangeLinkExpired: the link has expired or never existed.
    """
    change = session.get(EmailChange, _verify(session, UNDO_PURPOSE, token, now))
    latest = None if change is None else _latest_change(session, change)
    return change is not None and latest is not None and latest.new_email_hash == change.old_email_hash


def _latest_change(session: Session, change: EmailChange) -> EmailChange | None:
    query = select(EmailChange).where(
        EmailChange.supporter_id == change.supporter_id, EmailChange.confirmed_at.is_not(None)
    )
    return session.scalar(query.order_by(EmailChange.confirmed_at.desc(), EmailChange.id.desc()).limit(1))


def _verify(session: Session, purpose: str, token: str, now: datetime.datetime) -> uuid.UUID:
    try:
        return verify_token(session_keyring(session), purpose=purpose, token=token, now=now)
    except InvalidToken as error:
        raise _link_expired() from error


def _enqueue(session: Session, kind: EmailKind, change: EmailChange, *, lang: str, now: datetime.datetime) -> None:
    enqueue_email(
        session,
        kind,
        str(change.id),
        lang=lang,
        now=now,
        supporter_id=change.supporter_id,
        email_change_id=change.id,
    )


def _link_expired() -> EmailChangeLinkExpired:
    return EmailChangeLinkExpired("This link was used before, is older than a day, or is not the latest.")
