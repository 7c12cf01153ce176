"""Real processes for the tests that need them: the web server and workers, each with an environment of its own.

They are started as what `mainstay serve` and `mainstay worker` become, without the command before it, which takes
as long again. That the commands do become them is watched where the Procfile runs.
"""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.processes import WEB_COMMAND, WORKER_COMMAND

ROOT = Path(__file__).resolve().parents[1]
# Far longer than it takes: other work may keep the machine busy.
STOP_SECONDS = 60
PATIENCE_SECONDS = 120
KEYS = "a-key-that-only-the-tests-know-0123456789"


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(database_url: str, **changes: str) -> dict[str, str]:
    """Return the environment of a Mainstay process on this database."""
    ours = {
        "DATABASE_URL": database_url,
        "SECRET_KEYS": KEYS,
        "HOST": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        "RATE_LIMIT": "off",
        # What is late must not wait for a morning, at whatever hour the tests run.
        "SENDING_HOURS": "any",
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | ours | changes


@contextmanager
def running(*command: str, log: Path, env: dict[str, str]) -> Iterator[subprocess.Popen]:
    """Run a command until the block ends; it is told to stop (SIGTERM) and must obey."""
    with log.open("ab") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen) -> None:
    """Tell a process to stop; one that does not obey is killed, and that is an error."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=STOP_SECONDS)
        raise


@contextmanager
def web(database_url: str, log: Path, **changes: str) -> Iterator[str]:
    """Serve on a free port until the block ends; yield the base address."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    env = environment(database_url, PORT=str(port), PUBLIC_URL=base, WEB_CONCURRENCY="1") | changes
    with running(*WEB_COMMAND, log=log, env=env) as process:
        wait_until(
            lambda: process.poll() is None and is_listening(f"{base}/healthz"), what=f"the web process, see {log}"
        )
        yield base


@contextmanager
def worker(database_url: str, log: Path, **changes: str) -> Iterator[subprocess.Popen]:
    """Run a worker until the block ends; give it the web process's PUBLIC_URL."""
    with running(*WORKER_COMMAND, log=log, env=environment(database_url, **changes)) as process:
        yield process


def is_listening(url: str) -> bool:
    """Whether anything but a connection error comes from this address."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def wait_until(condition, *, what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a condition to hold; fail with `what` was waited for."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain for {what}")
