"""Postfix's smtp-sink as the server that takes the emails.

It is made to measure clients, and takes a quarter of the processor time that aiosmtpd does, so that a worker has
nearly all of it, as with a server on another machine.
"""

import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.smtp_sink import MESSAGE_ID, SinkStats, rate_of_middle_half
from tests.processes import free_port, wait_until

# Seconds between two looks at its counters.
POLL_SECONDS = 0.01
# Bytes. The counters of a moment take some thirty.
TAIL = 200
_COUNTERS = re.compile(rb"sess=(\d+) quit=\d+ mesg=(\d+)\r")
# What it writes before each email in its dump.
_DUMP_HEADER = re.compile(rb"^X-Client-Addr: .*\n(?:X-.*\n)*Received: .*\n(?:\t.*\n)+", re.MULTILINE)


def find_smtp_sink() -> str | None:
    """Return the path of smtp-sink, or None if it is not installed (Debian: the package postfix)."""
    return shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class PostfixSink:
    """Runs smtp-sink within a `with` block. It answers at once, and offers PIPELINING unless told otherwise."""

    def __init__(self, *, delay: float = 0, extensions: tuple[str, ...] = ()) -> None:
        if delay:
            raise ValueError("smtp-sink answers at once")
        self._options = [] if "PIPELINING" in extensions else ["-p"]
        if os.geteuid() == 0:
            self._options += ["-u", "root"]

    def __enter__(self) -> "PostfixSink":
        path = find_smtp_sink()
        if path is None:
            raise SystemExit("there is no smtp-sink here; install it (Debian: sudo apt-get install postfix)")
        self.port = free_port()
        self._folder = TemporaryDirectory(prefix="mainstay-sink-")
        self._counters, self._dump = (Path(self._folder.name) / name for name in ("counters", "dump"))
        # When each number of emails was last seen.
        self._arrivals = [(time.perf_counter(), 0)]
        self._stop = threading.Event()
        with self._counters.open("wb") as counters:
            self._process = subprocess.Popen(
                [path, "-4", "-c", "-D", str(self._dump), *self._options, f"127.0.0.1:{self.port}", "128"],
                stdout=counters,
            )
        self._watch = threading.Thread(target=self._poll)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watch.join()
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def stats(self) -> SinkStats:
        """Return the current counts."""
        connections, emails = self._read_counters()
        dumped = self._dump.read_bytes() if self._dump.exists() else b""
        # Lines end with a line feed there, and an empty one is added behind each email.
        contents = [each.removesuffix(b"\n").replace(b"\n", b"\r\n") for each in _DUMP_HEADER.split(dumped)[1:]]
        found = {match.group(1) for content in contents if (match := MESSAGE_ID.search(content))}
        return SinkStats(
            emails=emails,
            distinct=len(found),
            connections=connections,
            bytes=sum(map(len, contents)),
            rate=rate_of_middle_half(self._arrivals, self._arrivals[-1][1]),
            sample=contents[0].decode() if contents else "",
        )

    def wait_for(self, emails: int) -> SinkStats:
        """Wait until this many emails were accepted, and return the counts."""
        wait_until(lambda: self._arrivals[-1][1] >= emails, what=f"{emails} emails", seconds=400 + emails)
        return self.stats()

    def _poll(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            _, emails = self._read_counters()
            if emails == self._arrivals[-1][1]:
                self._arrivals.pop()
            self._arrivals.append((time.perf_counter(), emails))

    def _read_counters(self) -> tuple[int, int]:
        """Return how many connections there were and how many emails, which it writes after each email."""
        with self._counters.open("rb") as file:
            file.seek(max(self._counters.stat().st_size - TAIL, 0))
            found = _COUNTERS.findall(file.read())
        return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)
