"""Signed tokens in links, which grant access without an account.

A token is `subject (16 bytes) | expiry (5 bytes)`, a point, and its HMAC-SHA256 by itsdangerous, both in URL-safe
base64 without padding: 72 characters. The key is derived per purpose, so that a token for one purpose is invalid
for every other.
"""

import datetime
import hashlib
import hmac
import re
import uuid
from functools import lru_cache
from typing import Final

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from service.db.keyring import Keyring

# Five bytes hold Unix seconds for 34,000 years, and 21 bytes leave no unused bits in base64.
SUBJECT_BYTES: Final = 16
EXPIRY_BYTES: Final = 5
# itsdangerous decodes leniently. Only four bits of the last character count, so this pattern allows one spelling.
TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{28}\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


class InvalidToken(ValueError):
    """The token is malformed, altered, expired, or meant for something else."""


def issue_token(keyring: Keyring, *, purpose: str, subject: uuid.UUID, expires_at: datetime.datetime) -> str:
    """Return a token for `subject` that is valid for `purpose` until `expires_at`."""
    expiry = int(expires_at.timestamp()).to_bytes(EXPIRY_BYTES, "big")
    return _signer(keyring, purpose).sign(base64_encode(subject.bytes + expiry)).decode()


def verify_token(keyring: Keyring, *, purpose: str, token: str, now: datetime.datetime) -> uuid.UUID:
    """Return the subject of a token.

    Raises:
        InvalidToken: the same error for every reason, so that probing reveals nothing.
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


@lru_cache(maxsize=64)
def _signer(keyring: Keyring, purpose: str) -> Signer:
    # Kept, because itsdangerous would derive the keys of a purpose anew for each token in a morning's emails. With
    # "hmac" it derives them as here. The keyring lists the current key first, itsdangerous last.
    keys = [hmac.digest(key, purpose.encode(), "sha256") for key in reversed(keyring.signing_keys)]
    return Signer(keys, key_derivation="none", digest_method=hashlib.sha256)
