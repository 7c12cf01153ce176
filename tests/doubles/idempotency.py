"""Answers a request once for each `Idempotency-Key`, as Stripe's "Idempotent requests" says.

Only POST takes a key. What was begun is kept, also when it failed, for 24 hours; what was refused before it began
is not.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.refusal import Refusal

KEPT_SECONDS = 24 * 3600


@dataclass
class Answer:
    """What goes back to a caller: a status, a JSON body, and headers of its own."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    # Whether the endpoint had begun, so that a key keeps this answer.
    happened: bool = True


@dataclass
class _Kept:
    asked: str
    began: int
    answer: Answer | None = None


class Keys:
    """The idempotency keys that were used, and what each was answered."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def answer(self, key: str | None, path: str, params: dict[str, Any], serve: Callable[[], Answer]) -> Answer:
        """Serve a request, or answer as the first with this key was answered.

        Other parameters than those of the first are a 400 `idempotency_error`; while the first is still served,
        a 409 `idempotency_key_in_use`.
        """
        if key is None:
            return serve()
        if len(key) > 255:
            raise Refusal("Idempotency-Key must be at most 255 characters", kind="idempotency_error")
        asked = json.dumps([path, params], sort_keys=True, default=str)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and self._now() - kept.began >= KEPT_SECONDS:
                kept = None
            if kept is None:
                self._kept[key] = mine = _Kept(asked, self._now())
        if kept is not None:
            return self._again(key, kept, asked)
        try:
            mine.answer = serve()
        finally:
            if mine.answer is None or not mine.answer.happened:
                with self._lock:
                    del self._kept[key]
        return mine.answer

    def _again(self, key: str, kept: _Kept, asked: str) -> Answer:
        if kept.asked != asked:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used "
                f"with. Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise Refusal(message, kind="idempotency_error")
        if kept.answer is None:
            message = f"There is currently another in-progress request using this Idempotent Key: {key}."
            raise Refusal(message, status=409, kind="idempotency_error", code="idempotency_key_in_use")
        first = kept.answer
        return Answer(first.status, first.body, {"Idempotent-Replayed": "true"} | first.headers)
