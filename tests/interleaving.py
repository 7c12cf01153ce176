"""What another transaction does at a chosen moment of ours: no threads, no sleeping, the same order every time."""

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
    """Runs deeds of others between the statements of whoever is tested."""

    engine: Engine
    _waiting: list[tuple[str, tuple[str, ...], Callable[[], object]]] = field(default_factory=list)

    def before_lock(self, table: str, deed: Callable[[], object]) -> None:
        """Run a deed right before the next statement that locks rows of this table, once."""
        self._waiting.append(("before", (f"FROM {table}", "FOR UPDATE"), deed))

    def after_statement(self, *words: str, deed: Callable[[], object]) -> None:
        """Run a deed right after the next statement that holds all these words, once."""
        self._waiting.append(("after", words, deed))

    def heard(self, when: str, statement: str) -> None:
        """Run what waits for this moment of this statement."""
        for waiting in self._waiting:
            moment, words, deed = waiting
            if moment == when and all(word in statement for word in words):
                # Taken off first: what the deed executes is heard as well.
                self._waiting.remove(waiting)
                deed()
                return

    def check_all_ran(self) -> None:
        """Fail if a moment never came, such as a lock that nobody took."""
        never = [words for _, words, _ in self._waiting]
        assert not never, f"no statement with {never} was executed"


@contextmanager
def interleaving(engine: Engine) -> Iterator[Interleaving]:
    """Yield a way to act between the statements of this engine; every deed must have had its moment."""
    between = Interleaving(engine)

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        between.heard("before", statement)

    def after(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        between.heard("after", statement)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        yield between
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)
    between.check_all_ran()


def must_wait(container: Container, deed: Callable[[Session], object]) -> bool:
    """Try a deed in a transaction of its own; return whether a lock of another kept it from being done."""
    try:
        with container.database.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '100ms'"))
            deed(session)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            pytest.fail(f"not a lock: {error.orig}")
        return True
    return False
