"""A supporter's own wish to be erased, confirmed by a link in an email to their address.

The link is a signed token, of which the request's id is the subject. When it is confirmed, the erasure gets that
id and the request is deleted, so that the link works once and then leads to the state of the erasure.
"""

import datetime
import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import EmailKind
from service.db.base import new_id
from service.db.keyring import Keyring
from service.db.models.erasure import Erasure, ErasureRequest
from service.db.session import session_keyring
from service.domain.email.mailbox_limits import ERASURE, take_slot
from service.domain.email.outbox import enqueue_email
from service.domain.errors import ErasureLinkExpired
from service.domain.supporters import get_address
from service.domain.tokens import InvalidToken, issue_token, verify_token

LINK_TTL = datetime.timedelta(hours=1)
PURPOSE = "erase supporter"


def request_own_erasure(session: Session, supporter_id: uuid.UUID, *, lang: str, now: datetime.datetime) -> None:
    """Enqueue an email with a confirmation link to a supporter, unless that exceeds the limit of their mailbox."""
    address = get_address(session, supporter_id)
    if address is None or not take_slot(session, address, ERASURE, now=now):
        return
    asked = ErasureRequest(id=new_id(), supporter_id=supporter_id, requested_at=now)
    session.add(asked)
    # The email refers to the row.
    session.flush()
    enqueue_email(
        session,
        EmailKind.ERASURE,
        str(asked.id),
        lang=lang,
        now=now,
        supporter_id=supporter_id,
        erasure_request_id=asked.id,
    )


def erasure_token(keyring: Keyring, request_id: uuid.UUID, requested_at: datetime.datetime) -> str:
    """Return the token of the confirmation link."""
    return issue_token(keyring, purpose=PURPOSE, subject=request_id, expires_at=requested_at + LINK_TTL)


def find_erasure_request(session: Session, token: str, *, now: datetime.datetime) -> ErasureRequest:
    """Return the request that a link confirms. The check does not use the link up.

    Raises:
        ErasureLinkExpired: the link was used before, has expired, or never existed.
    """
    asked = session.scalar(select(ErasureRequest).where(ErasureRequest.id == _request_id(session, token, now=now)))
    if asked is None:
        raise link_expired()
    return asked


def find_confirmed_erasure(session: Session, token: str, *, now: datetime.datetime) -> Erasure | None:
    """Return the erasure that a link has confirmed; None if it has not.

    Raises:
        ErasureLinkExpired: the link has expired or never existed.
    """
    return session.get(Erasure, _request_id(session, token, now=now))


def link_expired() -> ErasureLinkExpired:
    return ErasureLinkExpired("This link was used before, or is older than an hour.")


def _request_id(session: Session, token: str, *, now: datetime.datetime) -> uuid.UUID:
    try:
        return verify_token(session_keyring(session), purpose=PURPOSE, token=token, now=now)
    except InvalidToken as error:
        raise link_expired() from error
