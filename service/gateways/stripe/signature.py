"""Whether Stripe itself sent this, just now.

See https://docs.stripe.com/webhooks/signature. Stripe's library accepts a timestamp from the future; whoever got
hold of a secret once could sign such events in advance, so that here its age counts in both directions.
"""

import datetime
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

from service.domain.ports import NotFromGateway

TOLERANCE: Final = datetime.timedelta(minutes=5)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")


def check_signature(payload: bytes, header: str, secrets: Sequence[str], *, now: datetime.datetime) -> None:
    """Compare in constant time with what each of our secrets would have signed.

    Raises:
        NotFromGateway: no signature is right, or the moment that was signed is more than five minutes from now.
    """
    timestamp, signatures = _parts(header)
    signed = f"{timestamp}.".encode() + payload
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode() for secret in secrets]
    # Every pair is compared, so that the time tells neither which secret it was nor which signature.
    matches = [hmac.compare_digest(one, other) for one in expected for other in signatures]
    if not any(matches):
        raise NotFromGateway("No signature is right.")
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
        raise NotFromGateway("The signature is too old, or from the future.")


def _parts(header: str) -> tuple[str, list[bytes]]:
    """Return the timestamp, as it was signed, and the signatures of the scheme that is in use."""
    pairs = [part.strip().partition("=") for part in header.split(",")]
    timestamps = [value for name, _, value in pairs if name == "t"]
    if len(timestamps) != 1 or not _TIMESTAMP.fullmatch(timestamps[0]):
        raise NotFromGateway("The signature has no timestamp.")
    return timestamps[0], [value.encode() for name, _, value in pairs if name == "v1"]
