"""Several real worker processes, which may be killed and are then replaced."""

import random
import subprocess
from contextlib import ExitStack
from pathlib import Path

from tests.processes import worker

SETTINGS = {"SENDING_HOURS": "any", "LEASE_SECONDS": "10"}


class Workers:
    """Runs so many workers from `with` to its end, when each must obey SIGTERM. All write into one log."""

    def __init__(self, count: int, database_url: str, log: Path, **settings: str) -> None:
        self._url = database_url
        self._settings = SETTINGS | settings
        self._log = log
        self._stack = ExitStack()
        self.processes: list[subprocess.Popen] = []
        self._count = count

    def __enter__(self) -> "Workers":
        for _ in range(self._count):
            self._start()
        return self

    def __exit__(self, *raised: object) -> None:
        for process in self.processes:
            # All at once, so that they need not wait for one another.
            process.terminate()
        self._stack.close()

    @property
    def log(self) -> str:
        """What all of them have said so far."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def all_live(self) -> bool:
        """Whether none has ended."""
        return all(process.poll() is None for process in self.processes)

    def kill_one(self, chance: random.Random) -> None:
        """Kill a random one as a power cut would (SIGKILL), and start another in its place."""
        victim = chance.choice(self.processes)
        victim.kill()
        victim.wait()
        self.processes.remove(victim)
        self._start()

    def _start(self) -> None:
        self.processes.append(self._stack.enter_context(worker(self._url, self._log, **self._settings)))
