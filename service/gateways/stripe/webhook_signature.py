"""Whether Stripe itself sent this, just now.

See https://docs.stripe.com/webhooks/signature. Stripe's library accepts a timestamp from the future; whoever got
hold of a secret once could sign such events in advance, so that here its age counts in both directions.
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
    """Let Stripe's library compare, in constant time, with what each of our secrets would have signed.

    Raises:
        InvalidSignature: no signature is right, or the moment that was signed is more than five minutes from now.
    """
    signed_at = _signed_at(header)
    if not any(_is_signed(payload, header, secret) for secret in secrets):
        raise InvalidSignature("No signature is right.")
    if abs(now.timestamp() - signed_at) > TOLERANCE.total_seconds():
        raise InvalidSignature("The signature is too old, or from the future.")


def _signed_at(header: str) -> int:
    """Return the one timestamp, in seconds since 1970; of several, the library would take the first."""
    timestamps = [part.removeprefix("t=") for part in header.split(",") if part.startswith("t=")]
    if len(timestamps) != 1 or not _TIMESTAMP.fullmatch(timestamps[0]):
        raise InvalidSignature("The signature has no timestamp.")
    return int(timestamps[0])


def _is_signed(payload: bytes, header: str, secret: str) -> bool:
    try:
        # Without a tolerance, because the library would measure the age by a clock of its own.
        return bool(WebhookSignature.verify_header(payload, header, secret))
    except (SignatureVerificationError, UnicodeDecodeError, TypeError):
        # Neither a payload that is no UTF-8 nor a signature that is no ASCII can be compared at all.
        return False
