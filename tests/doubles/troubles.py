"""What can go wrong between a caller and Stripe, on demand: one trouble for the next call of an endpoint."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto


class Trouble(Enum):
    """How a call goes wrong."""

    TIMES_OUT = auto()  # no answer ever comes
    RESETS = auto()  # the connection is reset
    ANSWERS = auto()  # an error is answered
    HOLDS = auto()  # the call stands still until it is let go


@dataclass
class Latch:
    """Holds a call: `reached` is set when it stands there, and it goes on after `release()`."""

    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let the call go on."""
        self.released.set()


@dataclass
class Planned:
    """One trouble of one call, before its effect or after it."""

    trouble: Trouble
    after_effect: bool = False
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    latch: Latch = field(default_factory=Latch)


class Troubles:
    """The troubles that wait, by endpoint, and the calls that came.

    An endpoint is named `POST /v1/refunds`, as in `tests.doubles.routes`; `*` is any of them.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._waiting: list[tuple[str, Planned]] = []
        self._lock = threading.Lock()

    def time_out(self, endpoint: str = "*", *, after_effect: bool = False, times: int = 1) -> None:
        """Never answer; with `after_effect` what was asked for happens all the same."""
        self._plan(endpoint, times, Planned(Trouble.TIMES_OUT, after_effect))

    def reset(self, endpoint: str = "*", *, after_effect: bool = False, times: int = 1) -> None:
        """Reset the connection; with `after_effect` what was asked for happens all the same."""
        self._plan(endpoint, times, Planned(Trouble.RESETS, after_effect))

    def answer(
        self,
        status: int,
        endpoint: str = "*",
        *,
        after_effect: bool = False,
        times: int = 1,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answer 500, 503, 429, 401 …; with `after_effect` what was asked for happens all the same."""
        self._plan(endpoint, times, Planned(Trouble.ANSWERS, after_effect, status, headers or {}))

    def hold(self, endpoint: str = "*", *, after_effect: bool = False) -> Latch:
        """Hold the next call, and return the latch that lets it go."""
        planned = Planned(Trouble.HOLDS, after_effect)
        self._plan(endpoint, 1, planned)
        return planned.latch

    def clear(self) -> None:
        """Forget the troubles that did not come about; who is held goes on."""
        with self._lock:
            self._waiting.clear()

    def _plan(self, endpoint: str, times: int, planned: Planned) -> None:
        with self._lock:
            self._waiting += [(endpoint, planned)] * times

    def next_of(self, endpoint: str) -> Planned | None:
        """Count a call, and return the trouble that waits for it."""
        with self._lock:
            self.calls[endpoint] += 1
            for index, (name, planned) in enumerate(self._waiting):
                if name in ("*", endpoint):
                    del self._waiting[index]
                    return planned
        return None
