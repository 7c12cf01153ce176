"""Links that prove themselves: who follows one needs no account, and who alters one gets nowhere.

A token is `subject (16) | expiry (5)`, a point, and the HMAC-SHA256 that itsdangerous makes of it, both in
URL-safe base64 without padding: 72 characters. The key is derived for the purpose, so that a token for one thing
never opens another.
"""

import datetime
import hashlib
import re
import uuid
from typing import Final

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from service.db.keyring import Keyring

# Seconds since 1970 in five bytes last for 34,000 years, and 21 bytes leave no bit of the base64 unused.
SUBJECT_BYTES: Final = 16
EXPIRY_BYTES: Final = 5
# itsdangerous decodes leniently. This is the one spelling: of the last character only four bits count.
TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{28}\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


class InvalidToken(ValueError):
    """The token is malformed, altered, expired, or meant for something else."""


def issue_token(keyring: Keyring, *, purpose: str, subject: uuid.UUID, expires_at: datetime.datetime) -> str:
    """Return a token for `subject` that is good for `purpose` until `expires_at`."""
    expiry = int(expires_at.timestamp()).to_bytes(EXPIRY_BYTES, "big")
    return _signer(keyring, purpose).sign(base64_encode(subject.bytes + expiry)).decode()


def verify_token(keyring: Keyring, *, purpose: str, token: str, now: datetime.datetime) -> uuid.UUID:
    """Return the subject of a token.

    Raises:
        InvalidToken: it cannot be trusted; the reason is not told apart, so that nobody can probe for it.
    """
    if not TOKEN.fullmatch(token):
        raise InvalidToken(purpose)
    try:
        content = base64_decode(_signer(keyring, purpose).unsign(token))
    except BadSignature as error:
        raise InvalidToken(purpose) from error
    subject, expiry = content[:SUBJECT_BYTES], content[SUBJECT_BYTES:]
    if int.from_bytes(expiry, "big") < now.timestamp():
        raise InvalidToken(purpose)
    return uuid.UUID(bytes=subject)


def _signer(keyring: Keyring, purpose: str) -> Signer:
    # The current key comes first in our ring, and last with itsdangerous.
    keys = reversed(keyring.signing_keys)
    return Signer(list(keys), salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256)
