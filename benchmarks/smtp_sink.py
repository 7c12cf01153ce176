"""A mail server that takes everything and counts it by Message-ID: aiosmtpd, in a process of its own.

It prints what it has seen as JSON, one line for each line that it reads.
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
    """What was accepted: how many mails, with how many different Message-IDs, and over how many seconds."""

    mails: int = 0
    different: int = 0
    connections: int = 0
    bytes: int = 0
    seconds: float = 0


class CountingHandler:
    """Takes every mail; the time runs from the first to the last."""

    def __init__(self) -> None:
        self._tally, self._ids = SinkStats(), set[bytes]()
        self._first = self._last = 0.0

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        """Count one mail."""
        self._last = time.perf_counter()
        self._first = self._first or self._last
        found = MESSAGE_ID.search(envelope.content)
        self._ids.add(found.group(1) if found else b"")
        self._tally.mails += 1
        self._tally.bytes += len(envelope.content)
        return "250 OK"

    def on_connect(self) -> SMTP:
        """Open a connection."""
        self._tally.connections += 1
        return SMTP(self, hostname="sink.example", enable_SMTPUTF8=True)

    def report(self) -> str:
        """Return the tally as JSON."""
        self._tally.different, self._tally.seconds = len(self._ids), self._last - self._first
        return json.dumps(asdict(self._tally))


class SmtpSink:
    """Runs the process from `with` to its end."""

    def __enter__(self) -> "SmtpSink":
        self.port = free_port()
        command = [sys.executable, "-m", "benchmarks.smtp_sink", str(self.port)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.tally()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def tally(self) -> SinkStats:
        """Ask for what it has seen."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("tell\n")
        self._process.stdin.flush()
        return SinkStats(**json.loads(self._process.stdout.readline()))

    def wait_for(self, mails: int) -> SinkStats:
        """Return what it has seen once it has seen so many mails."""
        wait_until(lambda: self.tally().different >= mails, what=f"{mails} mails", seconds=60 + mails / 20)
        return self.tally()


async def serve(port: int) -> None:
    """Take mails until the process is told to stop."""
    counter, loop = CountingHandler(), asyncio.get_running_loop()
    server = await loop.create_server(counter.on_connect, "127.0.0.1", port)

    def tell() -> None:
        for _ in sys.stdin:
            print(counter.report(), flush=True)

    threading.Thread(target=tell, daemon=True).start()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
