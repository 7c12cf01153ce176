"""An SMTP server that accepts every email and counts Message-IDs: aiosmtpd, in a process of its own.

With a delay, it is a relay at a distance: each reply leaves so long after its command came, as if both had been on
their way, and several may be on their way at once. It prints its counts as JSON, one line for each line that it
reads from standard input.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiosmtpd.smtp import SMTP

from tests.processes import ROOT, free_port, wait_until

MESSAGE_ID = re.compile(rb"^message-id: *(?:\r\n )?(<[^>]+>)", re.IGNORECASE | re.MULTILINE)


@dataclass
class SinkStats:
    """What was accepted: emails, distinct Message-IDs, connections and bytes. `sample` is the first email.

    `rate` is the number of emails per second over the middle half of them, when all connections are in use:
    workers do not start at the same instant, and the last batch is sent by one of them.
    """

    emails: int = 0
    distinct: int = 0
    connections: int = 0
    bytes: int = 0
    rate: float = 0
    sample: str = ""


def rate_of_middle_half(arrivals: Sequence[tuple[float, int]], emails: int) -> float:
    """Return the emails per second between the first and the last quarter.

    `arrivals` are instants in seconds, each with the number of emails that had arrived by then: none at the first.
    """
    began, before = [each for each in arrivals if each[1] <= emails / 4][-1]
    ended, after = next(each for each in arrivals if each[1] >= emails * 3 / 4)
    return (after - before) / (ended - began) if emails else 0.0


class CountingHandler:
    """Accepts every email, and notes when each arrives."""

    def __init__(self, delay: float, extensions: tuple[str, ...]) -> None:
        self._stats, self._ids = SinkStats(), set[bytes]()
        self._arrivals = [(time.perf_counter(), 0)]
        self._delay = delay
        self._extensions = extensions

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's own name
        self, _server: SMTP, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer the extensions."""
        session.host_name = hostname
        return [responses[0], *(f"250-{name}" for name in self._extensions), *responses[1:]]

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        """Count one email."""
        found = MESSAGE_ID.search(envelope.content)
        self._ids.add(found.group(1) if found else b"")
        self._stats.emails += 1
        self._arrivals.append((time.perf_counter(), self._stats.emails))
        self._stats.bytes += len(envelope.content)
        self._stats.sample = self._stats.sample or envelope.content.decode()
        return "250 OK"

    def on_connect(self) -> SMTP:
        """Count a connection, and return its protocol."""
        self._stats.connections += 1
        return DelayedSMTP(self._delay, self, hostname="sink.example", enable_SMTPUTF8=True)

    def report(self) -> str:
        """Return the counts as JSON."""
        self._stats.distinct = len(self._ids)
        self._stats.rate = rate_of_middle_half(self._arrivals, self._stats.emails)
        return json.dumps(asdict(self._stats))


class DelayedSMTP(SMTP):
    """Sends each reply `delay` seconds late, while it reads on."""

    def __init__(self, delay: float, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._delay = delay
        self._on_their_way: deque[bytes] = deque()

    async def push(self, status: Any) -> None:
        """Send a reply."""
        if not self._delay:
            await super().push(status)
            return
        self._on_their_way.append((status if isinstance(status, bytes) else status.encode()) + b"\r\n")
        asyncio.get_running_loop().call_later(self._delay, self._arrive)

    def _arrive(self) -> None:
        reply = self._on_their_way.popleft()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(reply)


class SmtpSink:
    """Runs the server's process within a `with` block."""

    def __init__(self, *, delay: float = 0, extensions: tuple[str, ...] = ()) -> None:
        self._options = ["--delay", str(delay), *(f"--extension={name}" for name in extensions)]

    def __enter__(self) -> "SmtpSink":
        self.port = free_port()
        command = [sys.executable, "-m", "benchmarks.smtp_sink", str(self.port), *self._options]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.stats()  # the first answer says that it listens
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def stats(self) -> SinkStats:
        """Return the current counts."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("report\n")
        self._process.stdin.flush()
        return SinkStats(**json.loads(self._process.stdout.readline()))

    def wait_for(self, emails: int) -> SinkStats:
        """Wait until this many distinct emails were accepted, and return the counts."""
        wait_until(lambda: self.stats().distinct >= emails, what=f"{emails} emails", seconds=400 + emails)
        return self.stats()


async def serve(port: int, delay: float, extensions: tuple[str, ...]) -> None:
    """Accept emails until the process is terminated."""
    handler, loop = CountingHandler(delay, extensions), asyncio.get_running_loop()
    server = await loop.create_server(handler.on_connect, "127.0.0.1", port)

    def answer_requests() -> None:
        for _ in sys.stdin:
            print(handler.report(), flush=True)

    threading.Thread(target=answer_requests, daemon=True).start()
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--delay", type=float, default=0, help="seconds before each reply")
    parser.add_argument("--extension", action="append", default=[], help="an extension to offer")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.delay, tuple(arguments.extension)))
