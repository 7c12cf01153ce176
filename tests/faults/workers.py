"""A pool of worker processes that can be killed and are then replaced."""

import random
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from tests.faults.scale import SCALE
from tests.faults.smtp_sink import SmtpSinkProcess
from tests.processes import wait_until, worker

SETTINGS = {"SENDING_HOURS": "any", "LEASE_SECONDS": "10"}


class WorkerPool:
    """Runs worker processes in a `with` block, after which each must stop on SIGTERM. They share one log."""

    def __init__(self, number: int, database_url: str, sink: SmtpSinkProcess, log: Path, **settings: str) -> None:
        self._number = number
        self._url = database_url
        self._sink = sink
        self._settings = SETTINGS | settings
        self._log = log
        self._stack = ExitStack()
        self._names = (f"worker-{which}" for which in count(1))
        self._processes: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "WorkerPool":
        for _ in range(self._number):
            self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # A failed test may have left paused replies, for which the workers would wait.
            self._sink.clear_rules()
        # All at once, because each takes a while to stop.
        for process in self._processes.values():
            process.terminate()
        self._stack.close()

    @property
    def log(self) -> str:
        """The log of all workers so far."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def all_live(self) -> bool:
        """Whether all workers are running."""
        return all(process.poll() is None for process in self._processes.values())

    def until(self, condition: Callable[[], object], *, what: str) -> None:
        """Wait for a condition, and fail if a worker ends by itself."""

        def holds() -> object:
            assert self.all_live, f"a worker ended by itself; see {self._log}"
            return condition()

        wait_until(holds, what=what, seconds=SCALE.max_wait_seconds)

    def kill_any(self, rng: random.Random) -> None:
        """Kill a random worker at any point."""
        self._kill(rng.choice(list(self._processes)))

    def kill_during_send(self, rng: random.Random) -> None:
        """Kill a worker between the end of an email and its reply, the only window for a duplicate."""
        self._sink.pause()
        self.until(lambda: self._sink.in_hand, what="a worker to send an email")
        self._kill(rng.choice(self._sink.in_hand))
        self._sink.clear_rules()

    def _kill(self, name: str) -> None:
        """Kill a worker with SIGKILL and start another in its place."""
        victim = self._processes.pop(name)
        victim.kill()
        victim.wait(timeout=60)
        self._start()

    def _start(self) -> None:
        name = next(self._names)
        settings = self._settings | {"MAIL_URL": self._sink.url_for(name)}
        self._processes[name] = self._stack.enter_context(worker(self._url, self._log, **settings))
