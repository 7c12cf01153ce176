"""Whether there is space to write: on this machine's disks, and on the disk of the database."""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from service.settings import sqlite_path

# Less than this is full: SQLite's log, a large upload or a spreadsheet no longer fit.
MIN_FREE_BYTES = 16 * 1024 * 1024
# PostgreSQL's disk is usually on another machine, so it is known only from what failed there.
REMEMBER_SECONDS = 60
POSTGRES_DISK_FULL = "53100"
SQLITE_FULL = "SQLITE_FULL"


class DiskSpace:
    """Checks the folders that a process writes to, and remembers that the database could not write."""

    def __init__(
        self, engine: Engine, database_url: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        path = sqlite_path(database_url)
        self._folders = {"temporary files": Path(tempfile.gettempdir())}
        if path is not None:
            self._folders["the database"] = path.parent
        self._monotonic = monotonic
        self._failed_at: float | None = None
        event.listen(engine, "handle_error", self._note)

    def problem(self) -> str | None:
        """Return what is full, or None."""
        for purpose, folder in self._folders.items():
            try:
                free = shutil.disk_usage(folder).free
            except OSError as error:
                return f"the folder of {purpose} cannot be read ({error.strerror})"
            if free < MIN_FREE_BYTES:
                return f"only {free // 1024:,} KiB are free in the folder of {purpose}"
        failed_at = self._failed_at
        if failed_at is not None and self._monotonic() - failed_at < REMEMBER_SECONDS:
            return "the disk of the database is full"
        return None

    def _note(self, context: ExceptionContext) -> None:
        error = context.original_exception
        codes = (getattr(error, "sqlstate", None), getattr(error, "sqlite_errorname", None))
        if POSTGRES_DISK_FULL in codes or SQLITE_FULL in codes:
            self._failed_at = self._monotonic()
