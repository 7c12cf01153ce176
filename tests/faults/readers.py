"""Readers who send one request after the other to several web processes, and remember every answer."""

import http.client
import itertools
import json
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 60
NO_ANSWER = 0
JSON = {"Content-Type": "application/json"}
Request = tuple[str, str, str | None, dict[str, str]]


@dataclass
class Answers:
    """The answers so far, as (time, status, request); the status is `NO_ANSWER` if the connection broke."""

    all: list[tuple[float, int, str]] = field(default_factory=list)

    @property
    def statuses(self) -> Counter[int]:
        """The number of answers by status."""
        return Counter(status for _, status, _ in self.all)

    @property
    def failures(self) -> list[tuple[float, int, str]]:
        """The answers 5xx, and the requests without one."""
        return [answer for answer in self.all if answer[1] >= 500 or answer[1] == NO_ANSWER]


class Readers:
    """Runs in a `with` block. Each reader is a thread with a connection to one of the web processes."""

    def __init__(self, bases: list[str], number: int) -> None:
        self.answers = Answers()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(base, reader), daemon=True)
            for base, reader in zip(itertools.cycle(bases), range(number), strict=False)
        ]

    def __enter__(self) -> "Readers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=2 * TIMEOUT_SECONDS)

    def _run(self, base: str, reader: int) -> None:
        address = urlsplit(base)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=TIMEOUT_SECONDS)
        for number in itertools.count():
            if self._stop.is_set():
                break
            for method, path, body, headers in _requests(reader, number):
                try:
                    connection.request(method, path, body, headers)
                    response = connection.getresponse()
                    response.read()
                    status = response.status
                except (OSError, http.client.HTTPException):
                    connection.close()
                    status = NO_ANSWER
                self.answers.all.append((time.time(), status, f"{method} {path}"))
        connection.close()


def _requests(reader: int, number: int) -> list[Request]:
    """Return requests that read and write, each with its own address and Idempotency-Key."""
    email = f"visitor-{reader}-{number}@news.example"
    pledge = {"campaign": "default", "frequency": "monthly", "amount": 500, "currency": "USD"}
    return [
        ("GET", "/v1/campaigns/default", None, {}),
        ("POST", "/v1/reminders", json.dumps({"campaign": "default", "email": email}), JSON),
        ("POST", "/v1/pledges", json.dumps(pledge), JSON | {"Idempotency-Key": str(uuid.uuid4())}),
        ("GET", "/support/default", None, {}),
        ("GET", f"/v1/pledges/{uuid.uuid4()}", None, {}),
        ("GET", f"/r/{'A' * 28}.{'A' * 43}", None, {}),
    ]
