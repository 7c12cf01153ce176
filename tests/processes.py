"""Real web and worker processes for tests, each with its own environment.

They run the programs that `mainstay serve` and `mainstay worker` exec, without the command itself, which would
double the start time. The Procfile test covers the commands.
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
# Generous, because the machine may be busy.
STOP_SECONDS = 60
MAX_WAIT_SECONDS = 120
KEYS = "a-key-that-only-the-tests-know-0123456789"


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(database_url: str, **changes: str) -> dict[str, str]:
    """Return the environment of a Mainstay process on this database."""
    settings = {
        "DATABASE_URL": database_url,
        "SECRET_KEYS": KEYS,
        "HOST": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        "RATE_LIMIT": "off",
        # Late emails must be sent at any hour at which the tests run.
        "SENDING_HOURS": "any",
    }
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return inherited | settings | changes


@contextmanager
def running(*command: str, log: Path, env: dict[str, str]) -> Iterator[subprocess.Popen]:
    """Run a command until the block ends, and stop it with SIGTERM."""
    with log.open("ab") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen) -> None:
    """Stop a process with SIGTERM; if it does not exit in time, kill it and raise an error."""
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
    """Serve on a free port until the block ends; yield the base URL."""
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
    """Whether a server responds at this URL."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def wait_until(condition, *, what: str, seconds: float = MAX_WAIT_SECONDS) -> None:
    """Wait until a condition is true; `what` describes it in the error message."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what} without success")
