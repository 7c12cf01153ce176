"""`mainstay export`: every pledge in one file."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from schemas.admin import FORMATS
from service.commands.context import get_container, write_audit_log
from service.domain.pledges.export import write_export
from service.domain.pledges.queries import PledgeFilter, stream_pledges

STANDARD_OUTPUT = Path("-")


@click.command()
@click.option("--format", "kind", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    default="-",
    help="Where to write; - is standard output.",
)
def export(kind: str, out: Path) -> None:
    """Write every pledge to a file."""
    container = get_container()
    with container.database.transaction() as session:
        write_audit_log(session, container, "export_pledges", {"format": kind})
    with _open_output(out) as file, container.database.read_only() as session:
        for piece in write_export(kind, stream_pledges(session, PledgeFilter())):
            file.write(piece)
            if out != STANDARD_OUTPUT and sys.stderr.isatty():
                click.echo(f"\r{file.tell() // 1024:,} KiB", err=True, nl=False)
    if out != STANDARD_OUTPUT:
        click.echo(f"Wrote {out}.", err=True)


@contextmanager
def _open_output(out: Path) -> Iterator[BinaryIO]:
    """Open what is written to; a file takes the old one's place only when it is whole."""
    if out == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        handle, name = tempfile.mkstemp(dir=out.resolve().parent, prefix=f".{out.name}.")
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink()
        raise
