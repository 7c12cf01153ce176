"""The gateway of demonstrations and tests: a checkout page of our own, where no card is taken.

The page (`service.pages.sandbox`) reports back through the same domain calls as a real processor's events.
"""

import datetime
import uuid

from service.db.keyring import Keyring
from service.domain.ports import Checkout, CheckoutOrder
from service.domain.tokens import issue_token, read_token

TOKEN_PURPOSE = "sandbox-checkout"  # noqa: S105 - the purpose of a token is no secret
OPEN_FOR = datetime.timedelta(days=2)


class SandboxGateway:
    """Takes pledges without taking money."""

    name = "sandbox"

    def __init__(self, keyring: Keyring, public_url: str) -> None:
        self._keyring = keyring
        self._public_url = public_url

    def start_checkout(self, order: CheckoutOrder) -> Checkout:
        """Return the page for this pledge; its signed link is the same each time."""
        # The pledge's own id says when it was made (UUIDv7), so that asking twice yields one link.
        made_at = datetime.datetime.fromtimestamp((order.pledge_id.int >> 80) / 1000, datetime.UTC)
        token = issue_token(
            self._keyring, purpose=TOKEN_PURPOSE, subject=order.pledge_id, expires_at=made_at + OPEN_FOR
        )
        return Checkout(reference=f"sandbox_{order.pledge_id}", url=f"{self._public_url}/sandbox/checkout/{token}")


def read_checkout(keyring: Keyring, token: str, *, now: datetime.datetime) -> uuid.UUID:
    """Return the id of the pledge that a checkout link is for.

    Raises:
        BadTokenError: the link is altered or too old.
    """
    return read_token(keyring, purpose=TOKEN_PURPOSE, token=token, now=now)
