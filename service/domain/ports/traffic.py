"""What the domain asks of whatever counts requests."""

from typing import Protocol


class RateLimiter(Protocol):
    """The thing that counts how often one client asks."""

    def check(self, action: str, client: str) -> None:
        """Count one request.

        Raises:
            TooManyRequests: this client asked too often; the error says when to come back.
        """
