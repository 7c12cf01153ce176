"""Verify that Stripe signed a webhook, and did so recently.

See https://docs.stripe.com/webhooks/signature. Stripe's library accepts a timestamp from the future. With a leaked
secret, such events could be signed in advance, so the tolerance applies here in both directions.
"""

import datetime
import re
from collections.abc import Sequence
from typing import Final

from stripe import SignatureVerificationError, WebhookSignature

from service.domain.ports import InvalidSignature

TOLERANCE: Final = datetime.timedelta(minutes=5)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")


def verify_signature(payload: bytes, header: str, secrets: Sequence[str], *, now: datetime.datetime) -> None:
    """Compare the signature, in constant time, with the one that each secret yields.

    Raises:
        InvalidSignature: no signature matches, or the signed timestamp is more than five minutes from `now`.
    """
    signed_at = _signed_at(header)
    if not any(_is_signed(payload, header, secret) for secret in secrets):
        raise InvalidSignature("No signature matches.")
    if abs(now.timestamp() - signed_at) > TOLERANCE.total_seconds():
        raise InvalidSignature("The signature is too old, or from the future.")


def _signed_at(header: str) -> int:
    """Return the timestamp in seconds since 1970; a second one is an error, as the library ignores it."""
    timestamps = [part.removeprefix("t=") for part in header.split(",") if part.startswith("t=")]
    if len(timestamps) != 1 or not _TIMESTAMP.fullmatch(timestamps[0]):
        raise InvalidSignature("The signature has no timestamp.")
    return int(timestamps[0])


def _is_signed(payload: bytes, header: str, secret: str) -> bool:
    try:
        # No tolerance is passed, because the library would compare the timestamp with the system clock.
        return bool(WebhookSignature.verify_header(payload, header, secret))
    except (SignatureVerificationError, UnicodeDecodeError, TypeError):
        # A payload that is not UTF-8 and a signature that is not ASCII cannot be compared.
        return False
