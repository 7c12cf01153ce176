"""The signed link in emails about a pledge, which lets a reader manage it without an account."""

import datetime

from sqlalchemy.orm import Session

from service.db.keyring import Keyring
from service.db.models.pledge import Pledge
from service.db.session import session_keyring
from service.domain.errors import PledgeNotFound
from service.domain.pledges.pledges import get_pledge
from service.domain.tokens import InvalidToken, issue_token, verify_token

TOKEN_PURPOSE = "pledge"  # noqa: S105 - the purpose of a token is no secret
TOKEN_TTL = datetime.timedelta(days=2 * 366)


def pledge_token(keyring: Keyring, pledge: Pledge, *, now: datetime.datetime) -> str:
    """Return the token of the pledge's page, valid for longer than the year until the next email about it."""
    return issue_token(keyring, purpose=TOKEN_PURPOSE, subject=pledge.id, expires_at=now + TOKEN_TTL)


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
