"""Links that prove themselves: who follows one needs no account, and who alters one gets nowhere.

A token is `version (1) | subject (16) | expiry (8) | HMAC-SHA256 (32)` in URL-safe base64 without padding.
The signature covers the purpose as well, so that a token for one thing never opens another.
"""

import base64
import binascii
import datetime
import struct
import uuid

from service.db.keyring import Keyring

VERSION = 1
HEAD = struct.Struct(">B16sq")
SIGNATURE_BYTES = 32


class BadTokenError(ValueError):
    """The token is malformed, altered, expired, or meant for something else."""


def issue_token(keyring: Keyring, *, purpose: str, subject: uuid.UUID, expires_at: datetime.datetime) -> str:
    """Return a token for `subject` that is good for `purpose` until `expires_at`."""
    head = HEAD.pack(VERSION, subject.bytes, int(expires_at.timestamp()))
    return base64.urlsafe_b64encode(head + keyring.sign(purpose.encode() + b"\0" + head)).decode().rstrip("=")


def read_token(keyring: Keyring, *, purpose: str, token: str, now: datetime.datetime) -> uuid.UUID:
    """Return the subject of a token.

    Raises:
        BadTokenError: it cannot be trusted; the reason is not told apart, so that nobody can probe for it.
    """
    # One token has one spelling: the padding that it is written without is not accepted either.
    if "=" in token:
        raise BadTokenError(purpose)
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadTokenError(purpose) from error
    head, signature = raw[: HEAD.size], raw[HEAD.size :]
    if len(signature) != SIGNATURE_BYTES or not keyring.verify(purpose.encode() + b"\0" + head, signature):
        raise BadTokenError(purpose)
    version, subject, expires_at = HEAD.unpack(head)
    if version != VERSION or expires_at < now.timestamp():
        raise BadTokenError(purpose)
    return uuid.UUID(bytes=subject)
