"""Faults between a client and Stripe: each is planned for the next call of an endpoint."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto

from tests.stripe_double.errors import StripeApiError
from tests.stripe_double.idempotency import Response

MESSAGES = {
    401: ("invalid_request_error", None, "Invalid API Key provided"),
    429: ("invalid_request_error", "rate_limit", "Request rate limit exceeded."),
}


class Fault(Enum):
    TIMEOUT = auto()  # no response arrives
    RESET = auto()  # the connection is reset
    STATUS = auto()  # an error status is returned
    HOLD = auto()  # the call blocks until it is released


@dataclass
class Barrier:
    """Blocks a call: `reached` is set when the call blocks, and `release()` lets it continue."""

    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        self.released.set()


@dataclass
class PlannedFault:
    """One fault of one call, before its effect or after it."""

    kind: Fault
    after_effect: bool = False
    status: int = 500
    barrier: Barrier = field(default_factory=Barrier)
    skip: int = 0


class FaultPlan:
    """The planned faults of each endpoint, and the number of calls to it.

    An endpoint is named by its method and path template, `POST /v1/charges/{id}`; `*` is any endpoint. With
    `after_effect` the request takes effect before its call fails.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._planned: list[tuple[str, PlannedFault]] = []
        self._lock = threading.Lock()

    def time_out(self, endpoint: str = "*", *, after_effect: bool = False, times: int = 1) -> None:
        self._plan(endpoint, times, PlannedFault(Fault.TIMEOUT, after_effect))

    def reset(self, endpoint: str = "*", *, after_effect: bool = False, times: int = 1) -> None:
        self._plan(endpoint, times, PlannedFault(Fault.RESET, after_effect))

    def respond(
        self, status: int, endpoint: str = "*", *, after_effect: bool = False, times: int = 1, skip: int = 0
    ) -> None:
        """Return an error status: 500, 503, 429, 401 …; the first `skip` calls succeed."""
        self._plan(endpoint, times, PlannedFault(Fault.STATUS, after_effect, status, skip=skip))

    def hold(self, endpoint: str = "*", *, after_effect: bool = False) -> Barrier:
        """Block the next call, and return the barrier that releases it."""
        planned = PlannedFault(Fault.HOLD, after_effect)
        self._plan(endpoint, 1, planned)
        return planned.barrier

    def clear(self) -> None:
        """Drop the faults that are still planned; blocked calls stay blocked."""
        with self._lock:
            self._planned.clear()

    def next_for(self, endpoint: str) -> PlannedFault | None:
        """Count a call, and return its planned fault."""
        with self._lock:
            self.calls[endpoint] += 1
            for index, (name, planned) in enumerate(self._planned):
                if name in ("*", endpoint):
                    if planned.skip > 0:
                        planned.skip -= 1
                        return None
                    del self._planned[index]
                    return planned
        return None

    def _plan(self, endpoint: str, times: int, planned: PlannedFault) -> None:
        with self._lock:
            self._planned += [(endpoint, planned)] * times


def error_response(planned: PlannedFault) -> StripeApiError:
    kind, code, message = MESSAGES.get(planned.status, ("api_error", None, "An unknown error occurred."))
    return StripeApiError(message, status=planned.status, kind=kind, code=code, executed=True)


def apply_fault(response: Response, planned: PlannedFault | None, *, stored: bool) -> Response:
    """Return the response, or the error status that replaces it after the effect.

    A 500 is Stripe's own, so it is `stored` with the idempotency key; a proxy on the way returns the others.
    """
    if planned is None or not planned.after_effect or planned.kind is not Fault.STATUS:
        return response
    return Response.from_error(error_response(planned)) if stored is (planned.status == 500) else response
