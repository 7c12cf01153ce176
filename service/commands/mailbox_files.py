"""Reads the messages of a file: one email, an mbox or a Maildir."""

import mailbox
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

STANDARD_INPUT = Path("-")
MBOX_START = b"From "


def read_messages(path: Path) -> Iterator[bytes]:
    """Yield the messages of a file or folder, or of standard input for `-`.

    Raises:
        click.UsageError: the folder is no Maildir.
    """
    if path == STANDARD_INPUT:
        # The library reads an mbox from a named file only.
        with tempfile.NamedTemporaryFile() as copy:
            copy.write(sys.stdin.buffer.read())
            copy.flush()
            yield from read_messages(Path(copy.name))
    elif path.is_dir():
        if not all((path / name).is_dir() for name in ("cur", "new")):
            raise click.UsageError(f"{path} is no Maildir: it has no folders cur and new.")
        yield from _contents(mailbox.Maildir(path, create=False))
    elif _is_mbox(path):
        yield from _contents(mailbox.mbox(path, create=False))
    else:
        yield path.read_bytes()


def _is_mbox(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MBOX_START)) == MBOX_START


def _contents(box: mailbox.Maildir | mailbox.mbox) -> Iterator[bytes]:
    try:
        for key in box.iterkeys():
            yield box.get_bytes(key)
    finally:
        box.close()
