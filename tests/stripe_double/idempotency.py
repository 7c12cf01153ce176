"""Runs a request once for each `Idempotency-Key`, see Stripe's "Idempotent requests".

Only POST takes a key. A request that has started to execute keeps its response for 24 hours, also when it fails.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.stripe_double.errors import StripeApiError

TTL_SECONDS = 24 * 3600


@dataclass
class Response:
    """A status, a JSON body and extra headers; `executed` as in `StripeApiError`."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    executed: bool = True

    @classmethod
    def from_error(cls, error: StripeApiError) -> Self:
        return cls(error.status, error.body(), executed=error.executed)


@dataclass
class _StoredResponse:
    fingerprint: str
    started_at: int
    response: Response | None = None


class IdempotencyStore:
    """The idempotency keys in use and the response of each."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._stored: dict[str, _StoredResponse] = {}

    def respond(self, key: str | None, path: str, params: dict[str, Any], run: Callable[[], Response]) -> Response:
        """Run a request, or replay the response of the first request with this key.

        Raises:
            StripeApiError: 400 `idempotency_error` if the parameters differ from those of the first request, 409
                `idempotency_key_in_use` while the first request runs.
        """
        if key is None:
            return run()
        if len(key) > 255:
            raise StripeApiError("Idempotency-Key must be at most 255 characters", kind="idempotency_error")
        fingerprint = json.dumps([path, params], sort_keys=True, default=str)
        with self._lock:
            first = self._stored.get(key)
            if first is not None and self._now() - first.started_at >= TTL_SECONDS:
                first = None
            if first is None:
                self._stored[key] = own = _StoredResponse(fingerprint, self._now())
        if first is not None:
            return self._replay(key, first, fingerprint)
        try:
            own.response = run()
        finally:
            if own.response is None or not own.response.executed:
                with self._lock:
                    del self._stored[key]
        return own.response

    def _replay(self, key: str, first: _StoredResponse, fingerprint: str) -> Response:
        if first.fingerprint != fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used "
                f"with. Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise StripeApiError(message, kind="idempotency_error")
        if first.response is None:
            message = f"There is currently another in-progress request using this Idempotent Key: {key}."
            raise StripeApiError(message, status=409, kind="idempotency_error", code="idempotency_key_in_use")
        return Response(first.response.status, first.response.body, {"Idempotent-Replayed": "true"})
