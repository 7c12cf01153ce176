"""A process of its own, killed as by a power cut at a chosen moment of what it does.

It is forked, so that it begins at once, and shares nothing that is open: it builds a desk anew, and whatever the
double of Stripe knows is in the parent, to be asked by HTTP only.
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
PATIENCE_SECONDS = 60


class CrashPoint:
    """Kills the process that it is in at the moment of this number, and says before which one that is."""

    def __init__(self, burns_at: int, last_words: Connection) -> None:
        self._left = burns_at
        self._last_words = last_words

    def hit(self, moment: str) -> None:
        self._left -= 1
        if self._left == 0:
            self._last_words.send(moment)
            # Nothing is flushed, closed or rolled back: no handler, `finally` or `atexit` runs after this.
            os.kill(os.getpid(), signal.SIGKILL)


def crash_at(burns_at: int, container: Container, deed: Callable[[Container], object]) -> str | None:
    """Do a deed at a desk of another process, which is killed after its so-manieth commit or answer of Stripe.

    Returns:
        `AFTER_COMMIT` or the name of the call that it was killed after; None if it came to its end before.
    """
    # What both processes had open would be spoilt for both as soon as one of them ends.
    assert container.database.engine.pool.checkedout() == 0
    container.database.engine.dispose()
    heard, last_words = FORK.Pipe(duplex=False)
    with heard, last_words:
        process = FORK.Process(
            target=_begin, args=(CrashPoint(burns_at, last_words), container, deed), daemon=True
        )
        process.start()
        process.join(PATIENCE_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise AssertionError(f"after {PATIENCE_SECONDS} s the process still runs")
        if process.exitcode == 0:
            assert not heard.poll()
            return None
        assert process.exitcode == -signal.SIGKILL, f"it failed by itself ({process.exitcode}), see its stderr"
        assert heard.poll(), "it was killed by somebody else"
        return str(heard.recv())


def _begin(fuse: CrashPoint, parents: Container, deed: Callable[[Container], object]) -> None:
    # Both hooks are set in this process alone, which has nothing else to do and soon ends.
    event.listen(Session, "after_commit", lambda _: fuse.hit(AFTER_COMMIT))
    ask = StripeApiClient.call

    def ask_with_fuse(api: StripeApiClient, deed: str, call: Any) -> Any:
        response = ask(api, deed, call)
        fuse.hit(deed)
        return response

    StripeApiClient.call = ask_with_fuse
    deed(build_container(parents.settings, clock=parents.clock))
