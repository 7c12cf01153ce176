"""An SMTP server that accepts every email and counts Message-IDs: aiosmtpd, in a process of its own.

It prints its counts as JSON, one line for each line that it reads from standard input.
"""

import asyncio
import json
import re
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

from aiosmtpd.smtp import SMTP

from tests.processes import ROOT, free_port, wait_until

MESSAGE_ID = re.compile(rb"^message-id: *(?:\r\n )?(<[^>]+>)", re.IGNORECASE | re.MULTILINE)


@dataclass
class SinkStats:
    """What was accepted: emails, distinct Message-IDs, connections, bytes, and the seconds from first to last."""

    emails: int = 0
    distinct: int = 0
    connections: int = 0
    bytes: int = 0
    seconds: float = 0


class CountingHandler:
    """Accepts every email, and measures the time from the first to the last."""

    def __init__(self) -> None:
        self._stats, self._ids = SinkStats(), set[bytes]()
        self._first = self._last = 0.0

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        """Count one email."""
        self._last = time.perf_counter()
        self._first = self._first or self._last
        found = MESSAGE_ID.search(envelope.content)
        self._ids.add(found.group(1) if found else b"")
        self._stats.emails += 1
        self._stats.bytes += len(envelope.content)
        return "250 OK"

    def on_connect(self) -> SMTP:
        """Count a connection, and return its protocol."""
        self._stats.connections += 1
        return SMTP(self, hostname="sink.example", enable_SMTPUTF8=True)

    def report(self) -> str:
        """Return the counts as JSON."""
        self._stats.distinct, self._stats.seconds = len(self._ids), self._last - self._first
        return json.dumps(asdict(self._stats))


class SmtpSink:
    """Runs the server's process within a `with` block."""

    def __enter__(self) -> "SmtpSink":
        self.port = free_port()
        command = [sys.executable, "-m", "benchmarks.smtp_sink", str(self.port)]
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
        wait_until(lambda: self.stats().distinct >= emails, what=f"{emails} emails", seconds=60 + emails / 20)
        return self.stats()


async def serve(port: int) -> None:
    """Accept emails until the process is terminated."""
    handler, loop = CountingHandler(), asyncio.get_running_loop()
    server = await loop.create_server(handler.on_connect, "127.0.0.1", port)

    def answer_requests() -> None:
        for _ in sys.stdin:
            print(handler.report(), flush=True)

    threading.Thread(target=answer_requests, daemon=True).start()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
