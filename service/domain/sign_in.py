"""Signing in to a reader's own page by a link in an email.

A request looks the same for every address, so that it does not reveal who is a supporter. Links and sessions are
256 random bits, of which only the SHA-256 is stored.
"""

import datetime
import secrets
import uuid

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from schemas.enums import EmailKind
from service.db.base import new_id
from service.db.keyring import sha256
from service.db.models.sign_in import SignIn
from service.db.upsert import execute_insert
from service.domain.email.mailbox_limits import SIGN_IN, take_slot
from service.domain.email.outbox import enqueue_email
from service.domain.errors import SignInLinkExpired
from service.domain.supporters import lock_supporter_by_email

LINK_TTL = datetime.timedelta(minutes=15)
SESSION_TTL = datetime.timedelta(hours=3)
# What hands out everything at once wants a sign-in that is not older, in case a browser was left open.
RECENT = datetime.timedelta(minutes=30)
TOKEN_BYTES = 32
SESSION_TOKEN_BYTES = 32


def request_sign_in(session: Session, address: str, *, lang: str, now: datetime.datetime) -> None:
    """Enqueue an email with a sign-in link to a normalised address, if it is a supporter's.

    The same two rows are inserted for an unknown address, and the worker skips that email because it has no
    recipient. The address itself is not stored.

    Nothing is enqueued beyond the limit of its mailbox, which does not depend on whether the address is known. The
    links that were sent stay valid, so nobody can lock out the owner by asking too often.
    """
    if not take_slot(session, address, SIGN_IN, now=now):
        return
    supporter_id = lock_supporter_by_email(session, address)
    sign_in_id = new_id()
    execute_insert(session, SignIn, {"id": sign_in_id, "supporter_id": supporter_id, "asked_at": now})
    enqueue_email(
        session,
        EmailKind.SIGN_IN,
        str(sign_in_id),
        lang=lang,
        now=now,
        supporter_id=supporter_id,
        sign_in_id=sign_in_id,
    )


def create_magic_link_token(session: Session, sign_in: SignIn, now: datetime.datetime) -> str:
    """Return a new token for this sign-in, valid once and for `LINK_TTL`; it replaces an earlier one."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    sign_in.link_hash, sign_in.link_expires_at = sha256(token), now + LINK_TTL
    # The hash must be stored before an email with the token can leave.
    session.flush()
    return token


def supporter_for_link(session: Session, token: str, *, now: datetime.datetime) -> uuid.UUID | None:
    """Return whom the link with this token signs in now, without using it up; None if it cannot be redeemed."""
    return session.scalar(select(SignIn.supporter_id).where(*_valid_link(token, now)))


def redeem_link(session: Session, token: str, *, now: datetime.datetime) -> str:
    """Start the session of the supporter that the link was sent to; return the session's secret.

    One UPDATE statement checks and uses up the link, so that only one of two concurrent clicks succeeds.

    Raises:
        SignInLinkExpired: the link was used before, has expired, or never existed.
    """
    secret = secrets.token_urlsafe(SESSION_TOKEN_BYTES)
    sign_in_id = session.scalar(
        update(SignIn)
        .where(*_valid_link(token, now))
        .values(used_at=now, session_hash=sha256(secret), session_expires_at=now + SESSION_TTL)
        .returning(SignIn.id)
        .execution_options(synchronize_session=False)
    )
    if sign_in_id is None:
        raise SignInLinkExpired("This link was used before, or is older than a quarter of an hour.")
    return secret


def supporter_for_session(session: Session, secret: str | None, *, now: datetime.datetime) -> uuid.UUID | None:
    """Return the id of the session's supporter; None if the session has ended or never existed."""
    if not secret:
        return None
    return session.scalar(
        select(SignIn.supporter_id).where(SignIn.session_hash == sha256(secret), SignIn.session_expires_at > now)
    )


def is_recent_session(session: Session, secret: str | None, *, now: datetime.datetime) -> bool:
    """Whether a session was started within the last half hour."""
    if not secret:
        return False
    query = select(SignIn.id).where(SignIn.session_hash == sha256(secret), SignIn.used_at > now - RECENT)
    return session.scalar(query) is not None


def end_session(session: Session, secret: str | None) -> None:
    """End a session. Idempotent."""
    if secret:
        session.execute(
            update(SignIn)
            .where(SignIn.session_hash == sha256(secret))
            .values(session_hash=None, session_expires_at=None)
            .execution_options(synchronize_session=False)
        )


def end_other_sessions(session: Session, supporter_id: uuid.UUID, secret: str | None) -> None:
    """End every session of a supporter but the one with this secret, and the links that would start another."""
    # No row has the hash of an empty secret.
    session.execute(
        update(SignIn)
        .where(SignIn.supporter_id == supporter_id, SignIn.session_hash.is_distinct_from(sha256(secret or "")))
        .values(session_hash=None, session_expires_at=None, link_hash=None, link_expires_at=None)
        .execution_options(synchronize_session=False)
    )


def _valid_link(token: str, now: datetime.datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        SignIn.link_hash == sha256(token),
        SignIn.link_expires_at > now,
        SignIn.used_at.is_(None),
        SignIn.supporter_id.is_not(None),
    )
