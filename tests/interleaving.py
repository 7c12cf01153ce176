"""Deterministic interleaving of transactions: runs another transaction's action between two statements."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service.container import Container

LOCK_NOT_AVAILABLE = "55P03"


@dataclass
class Interleaving:
    """Runs actions of other transactions between the statements of the code under test."""

    engine: Engine
    _pending: list[tuple[str, tuple[str, ...], Callable[[], object]]] = field(default_factory=list)

    def before_lock(self, table: str, deed: Callable[[], object]) -> None:
        """Run an action once, right before the next statement that locks rows of this table."""
        self._waiting.append(("before", (f"FROM {table}", "FOR UPDATE"), deed))

    def after_statement(self, *words: str, deed: Callable[[], object]) -> None:
        """Run an action once, right after the next statement that contains all these words."""
        self._waiting.append(("after", words, deed))

    def heard(self, when: str, statement: str) -> None:
        """Run the actions that are registered for this point of this statement."""
        for waiting in self._waiting:
            moment, words, deed = waiting
            if moment == when and all(word in statement for word in words):
                # Removed first, because the action's own statements trigger this listener too.
                self._waiting.remove(waiting)
                deed()
                return

    def check_all_ran(self) -> None:
        """Fail if an action never ran, such as one before a lock that was never taken."""
        never = [words for _, words, _ in self._waiting]
        assert not never, f"no statement with {never} was executed"


@contextmanager
def interleaving(engine: Engine) -> Iterator[Interleaving]:
    """Yield an `Interleaving` for this engine, and check at the end that every action ran."""
    between = Interleaving(engine)

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        between.run_pending("before", statement)

    def after(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        between.run_pending("after", statement)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        yield between
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)
    between.check_all_ran()


def must_wait(container: Container, deed: Callable[[Session], object]) -> bool:
    """Try an action in its own transaction; return whether a lock of another transaction blocked it."""
    try:
        with container.database.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '100ms'"))
            action(session)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            pytest.fail(f"not a lock timeout: {error.orig}")
        return True
    return False
