"""The signed links of a pledge: in emails, to manage it without an account, and the one back from its checkout."""

import datetime
import uuid

from sqlalchemy.orm import Session

from service.db.keyring import Keyring
from service.db.models.pledge import Pledge
from service.db.session import session_keyring
from service.domain.errors import PledgeNotFound
from service.domain.pledges.pledges import get_pledge
from service.domain.tokens import InvalidToken, issue_token, verify_token

TOKEN_PURPOSE = "pledge"  # noqa: S105 - the purpose of a token is no secret
TOKEN_TTL = datetime.timedelta(days=2 * 366)
RETURN_PURPOSE = "thanks"
# A checkout is open for a day.
RETURN_TTL = datetime.timedelta(days=2)


def pledge_token(keyring: Keyring, pledge: Pledge, *, now: datetime.datetime) -> str:
    """Return the token of the pledge's page, valid for longer than the year until the next email about it."""
    return issue_token(keyring, purpose=TOKEN_PURPOSE, subject=pledge.id, expires_at=now + TOKEN_TTL)


def return_token(keyring: Keyring, pledge_id: uuid.UUID) -> str:
    """Return the token in the address to which the checkout of this pledge returns, the same one on every call.

    Only the browser that paid has it, so the thank-you page says more to it than to others.
    """
    # The id (UUIDv7) holds the instant of creation, so the expiry needs no clock.
    created_at = datetime.datetime.fromtimestamp((pledge_id.int >> 80) / 1000, datetime.UTC)
    return issue_token(keyring, purpose=RETURN_PURPOSE, subject=pledge_id, expires_at=created_at + RETURN_TTL)


def is_return_token(keyring: Keyring, token: str, pledge: Pledge, *, now: datetime.datetime) -> bool:
    """Whether this is the token of the pledge's checkout, and not expired."""
    try:
        return verify_token(keyring, purpose=RETURN_PURPOSE, token=token, now=now) == pledge.id
    except InvalidToken:
        return False


def get_pledge_by_token(session: Session, token: str, *, now: datetime.datetime) -> Pledge:
    """Return the pledge that the link of an email is for.

    Raises:
        PledgeNotFound: the token is invalid or expired.
    """
    try:
        pledge_id = verify_token(session_keyring(session), purpose=TOKEN_PURPOSE, token=token, now=now)
    except InvalidToken as error:
        raise PledgeNotFound("This link is not valid any more.") from error
    return get_pledge(session, pledge_id)
