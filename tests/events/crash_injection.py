"""Crash injection: run an action in a child process that is killed with SIGKILL at a chosen point.

The child is forked, so it starts at once. It shares no open connection with the parent: it builds its own
container, and reaches the Stripe double, which is in the parent, only through HTTP.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from service.bootstrap import build_container
from service.container import Container
from service.gateways.stripe.client import StripeApiClient

AFTER_COMMIT = "commit"
FORK = multiprocessing.get_context("fork")
TIMEOUT_SECONDS = 60


class CrashPoint:
    """Kills its own process at the point with this number, after sending the point's name to the parent."""

    def __init__(self, crash_number: int, sender: Connection) -> None:
        self._remaining = crash_number
        self._sender = sender

    def hit(self, point: str) -> None:
        self._remaining -= 1
        if self._remaining == 0:
            self._sender.send(point)
            # No handler, `finally` or `atexit` runs after SIGKILL, so nothing is flushed, closed or rolled back.
            os.kill(os.getpid(), signal.SIGKILL)


def crash_at(crash_number: int, container: Container, action: Callable[[Container], object]) -> str | None:
    """Run an action in a child process and kill it after the commit or Stripe response with this number.

    Returns:
        `AFTER_COMMIT` or the operation after which it was killed; None if the action ended before.
    """
    # A connection that both processes share breaks for both when one of them ends.
    assert container.database.engine.pool.checkedout() == 0
    container.database.engine.dispose()
    receiver, sender = FORK.Pipe(duplex=False)
    with receiver, sender:
        process = FORK.Process(
            target=_run_child, args=(CrashPoint(crash_number, sender), container, action), daemon=True
        )
        process.start()
        process.join(TIMEOUT_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise AssertionError(f"The process still runs after {TIMEOUT_SECONDS} s.")
        if process.exitcode == 0:
            assert not receiver.poll()
            return None
        assert process.exitcode == -signal.SIGKILL, f"the process failed ({process.exitcode}), see its stderr"
        assert receiver.poll(), "the process was killed at no crash point"
        return str(receiver.recv())


def _run_child(crash_point: CrashPoint, parent: Container, action: Callable[[Container], object]) -> None:
    # Both hooks are set only in this process, which ends after the action.
    event.listen(Session, "after_commit", lambda _: crash_point.hit(AFTER_COMMIT))
    original_call = StripeApiClient.call

    def call_and_hit(api: StripeApiClient, operation: str, call: Any) -> Any:
        response = original_call(api, operation, call)
        crash_point.hit(operation)
        return response

    StripeApiClient.call = call_and_hit
    action(build_container(parent.settings, clock=parent.clock))
