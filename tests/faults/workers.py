"""Several real worker processes, which may be killed and are then replaced."""

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
    """Runs so many workers from `with` to its end, when each must obey SIGTERM. All write into one log."""

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
            # A test that failed may have left mails in hand, whose replies nobody would wait for any more.
            self._sink.clear_rules()
        # All at once, so that none waits for another.
        for process in self._processes.values():
            process.terminate()
        self._stack.close()

    @property
    def log(self) -> str:
        """What all of them have said so far."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def all_live(self) -> bool:
        """Whether none has ended."""
        return all(process.poll() is None for process in self._processes.values())

    def until(self, condition: Callable[[], object], *, what: str) -> None:
        """Wait for a condition to hold, as long as no worker ends by itself."""

        def holds() -> object:
            assert self.all_live, f"a worker ended by itself; see {self._log}"
            return condition()

        wait_until(holds, what=what, seconds=SCALE.longest_wait)

    def kill_any(self, chance: random.Random) -> None:
        """Kill a random one, wherever it is."""
        self._kill(chance.choice(list(self._processes)))

    def kill_during_send(self, chance: random.Random) -> None:
        """Kill one between the end of a mail and the reply to it, which is the one window that there is."""
        self._sink.pause()
        self.until(lambda: self._sink.in_hand, what="somebody to hand a mail over")
        self._kill(chance.choice(self._sink.in_hand))
        self._sink.clear_rules()

    def _kill(self, name: str) -> None:
        """Kill a worker as a power cut would (SIGKILL), and start another in its place."""
        victim = self._processes.pop(name)
        victim.kill()
        victim.wait(timeout=60)
        self._start()

    def _start(self) -> None:
        name = next(self._names)
        settings = self._settings | {"MAIL_URL": self._sink.url_for(name)}
        self._processes[name] = self._stack.enter_context(worker(self._url, self._log, **settings))
