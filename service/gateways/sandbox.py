"""The gateway of demonstrations and tests: a checkout page of our own, where no card is taken.

The page (`service.pages.sandbox`) reports back through the same domain calls as a real processor's events.
"""

from service.db.keyring import Keyring
from service.domain.pledges.sandbox_checkout import checkout_token
from service.domain.ports import Checkout, CheckoutOrder


class SandboxGateway:
    """Takes pledges without taking money."""

    name = "sandbox"

    def __init__(self, keyring: Keyring, public_url: str) -> None:
        self._keyring = keyring
        self._public_url = public_url

    def start_checkout(self, order: CheckoutOrder) -> Checkout:
        """Return the page for this pledge; its signed link is the same each time."""
        token = checkout_token(self._keyring, order.pledge_id)
        return Checkout(reference=f"sandbox_{order.pledge_id}", url=f"{self._public_url}/sandbox/checkout/{token}")
