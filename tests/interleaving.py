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

    def before_lock(self, table: str, action: Callable[[], object]) -> None:
        """Run an action once, right before the next statement that locks rows of this table."""
        self._pending.append(("before", (f"FROM {table}", "FOR UPDATE"), action))

    def after_statement(self, *fragments: str, action: Callable[[], object]) -> None:
        """Run an action once, right after the next statement that contains all these fragments."""
        self._pending.append(("after", fragments, action))

    def run_actions(self, point: str, statement: str) -> None:
        """Run the actions that are registered for this point of this statement."""
        for entry in self._pending:
            when_to_run, fragments, action = entry
            if when_to_run == point and all(fragment in statement for fragment in fragments):
                # Removed first, because the action's own statements trigger this listener too.
                self._pending.remove(entry)
                action()
                return

    def check_all_ran(self) -> None:
        """Fail if an action never ran, such as one before a lock that was never taken."""
        not_run = [fragments for _, fragments, _ in self._pending]
        assert not not_run, f"no statement with {not_run} was executed"


@contextmanager
def interleaving(engine: Engine) -> Iterator[Interleaving]:
    """Yield an `Interleaving` for this engine, and check at the end that every action ran."""
    interleaved = Interleaving(engine)

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        interleaved.run_actions("before", statement)

    def after(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        interleaved.run_actions("after", statement)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        yield interleaved
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)
    interleaved.check_all_ran()


def must_wait(container: Container, action: Callable[[Session], object]) -> bool:
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
