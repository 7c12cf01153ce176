"""Asking for a link to one's own page: whoever asks learns nothing of who is known here."""

import datetime
import secrets
import uuid

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from schemas.enums import NotificationKind
from service.db.base import new_id
from service.db.keyring import sha256
from service.db.models.sign_in import SignIn
from service.db.upsert import execute_insert
from service.domain.email.outbox import enqueue_notification
from service.domain.errors import SignInLinkExpired
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


LINK_TTL = datetime.timedelta(minutes=15)
TOKEN_BYTES = 32


def create_magic_link_token(session: Session, sign_in: SignIn, now: datetime.datetime) -> str:
    """Return a new token for this wish to sign in: 256 random bits, good once and for a quarter of an hour.

    One that an earlier try to write the mail made is no good any more.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    sign_in.link_hash, sign_in.link_expires_at = sha256(token), now + LINK_TTL
    # Written now, so that no mail ever leaves with a link that is not on record.
    session.flush()
    return token


SESSION_TTL = datetime.timedelta(hours=3)
SESSION_TOKEN_BYTES = 32


def is_link_valid(session: Session, token: str, *, now: datetime.datetime) -> bool:
    """Whether the link with this token would sign its reader in now. Looking does not use it up."""
    return session.scalar(select(SignIn.id).where(*_valid_link(token, now))) is not None


def redeem_link(session: Session, token: str, *, now: datetime.datetime) -> str:
    """Sign the reader in whom the link was sent to; return the secret of their session, 256 random bits.

    Of two clicks at once one signs in: the row is found open and closed by one statement.

    Raises:
        SignInLinkExpired: the link was used before, is too old, or never was one.
    """
    secret = secrets.token_urlsafe(SESSION_TOKEN_BYTES)
    entered = session.scalar(
        update(SignIn)
        .where(*_valid_link(token, now))
        .values(used_at=now, session_hash=sha256(secret), session_expires_at=now + SESSION_TTL)
        .returning(SignIn.id)
        .execution_options(synchronize_session=False)
    )
    if entered is None:
        raise SignInLinkExpired("This link was used before, or is older than a quarter of an hour.")
    return secret


def supporter_for_session(session: Session, secret: str | None, *, now: datetime.datetime) -> uuid.UUID | None:
    """Return the supporter whose session this is; None if it has ended, or was never one."""
    if not secret:
        return None
    return session.scalar(
        select(SignIn.supporter_id).where(SignIn.session_hash == sha256(secret), SignIn.session_expires_at > now)
    )


def end_session(session: Session, secret: str | None) -> None:
    """End a session; one that has ended stays so."""
    if secret:
        session.execute(
            update(SignIn)
            .where(SignIn.session_hash == sha256(secret))
            .values(session_hash=None, session_expires_at=None)
            .execution_options(synchronize_session=False)
        )


def _valid_link(token: str, now: datetime.datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        SignIn.link_hash == sha256(token),
        SignIn.link_expires_at > now,
        SignIn.used_at.is_(None),
        SignIn.supporter_id.is_not(None),
    )
