"""The link in a mail that signs its reader in. It is made when the mail is written, and only its hash is kept."""

import datetime
import secrets

from sqlalchemy.orm import Session

from service.db.keyring import sha256
from service.db.models.sign_in import SignIn

LINK_TTL = datetime.timedelta(minutes=15)
TOKEN_BYTES = 32


def create_magic_link_token(session: Session, sign_in: SignIn, now: datetime.datetime) -> str:
    """Return a new token for this wish to sign in: 256 random bits, good once and for a quarter of an hour.

    One that an earlier try to write the mail made is no good any more.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    sign_in.link_hash, sign_in.link_ends_at = sha256(token), now + LINK_TTL
    # Written now, so that no mail ever leaves with a link that is not on record.
    session.flush()
    return token
