"""Deterministic concurrency tests: run another transaction at a chosen statement, without threads or sleeping."""

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

    def run_pending(self, moment: str, statement: str) -> None:
        """Run the action that is registered for this moment of this statement."""
        for pending in self._pending:
            wanted_moment, fragments, action = pending
            if wanted_moment == moment and all(fragment in statement for fragment in fragments):
                # Removed first, because the statements of the action come here too.
                self._pending.remove(pending)
                action()
                return

    def check_all_ran(self) -> None:
        """Fail if an action never ran, such as one before a lock that the code does not take."""
        missed = [fragments for _, fragments, _ in self._pending]
        assert not missed, f"no statement with {missed} was executed"


@contextmanager
def interleaving(engine: Engine) -> Iterator[Interleaving]:
    """Yield an `Interleaving` for this engine; at the end, every action must have run."""
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


def must_wait(container: Container, action: Callable[[Session], object]) -> bool:
    """Run an action in a transaction of its own; return whether it had to wait for a lock of another."""
    try:
        with container.database.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '100ms'"))
            action(session)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            pytest.fail(f"not a lock timeout: {error.orig}")
        return True
    return False
