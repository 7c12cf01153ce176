"""Writing a file with personal data: complete or not at all, and never to a terminal by accident."""

import contextlib
import errno
import os
import signal
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO

import click

STANDARD_OUTPUT = Path("-")


def choose_output(out: Path | None, *, force: bool, is_text: bool) -> Path:
    """Return the file to write to, by default standard output if that is no terminal.

    Raises:
        click.ClickException: the file exists, or the output would appear on a terminal without being asked for.
    """
    if out is None:
        if sys.stdout.isatty():
            raise click.UsageError(
                "This would print readers' addresses on your terminal. Name a file with --out FILE, or print them "
                "with --out -."
            )
        return STANDARD_OUTPUT
    if out == STANDARD_OUTPUT:
        if not is_text and sys.stdout.isatty():
            raise click.UsageError("A terminal cannot show this format. Name a file with --out FILE.")
        return out
    if _is_regular(out) and not force:
        raise click.ClickException(f"{out} exists already; add --force to replace it, or name another file.")
    return out


@contextmanager
def open_output(out: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Yield a file to write to. A regular file appears under its name only when it is complete, as 0600.

    Raises:
        click.ClickException: it cannot be written, such as when the disk is full; nothing is left of it.
    """
    try:
        if out == STANDARD_OUTPUT:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        elif out.exists() and not _is_regular(out):
            # A device or a pipe has no content that could be replaced.
            with out.open("wb") as file:
                yield file
        else:
            with _terminated_as_interrupt(), _replacement(out.resolve(), force=force) as file:
                yield file
    except BrokenPipeError:
        # The reader of the pipe has seen enough. Python would otherwise report the rest of the buffer at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        if out == STANDARD_OUTPUT:
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.ClickException(_explain(error, out)) from error


@contextmanager
def _replacement(out: Path, *, force: bool) -> Iterator[BinaryIO]:
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name[:200]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            # Some file systems report a full disk only now.
            os.fsync(file.fileno())
        # Another process may have made it meanwhile.
        choose_output(out, force=force, is_text=True)
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _terminated_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that no half file is left."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    previous: Callable[[int, FrameType | None], object] | int | None = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _explain(error: OSError, out: Path) -> str:
    name = "Standard output" if out == STANDARD_OUTPUT else str(out)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{name} was not written, because the disk is full; make room, or name a file on another disk."
    return f"{name} cannot be written: {error.strerror or error}."
