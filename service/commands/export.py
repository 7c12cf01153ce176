"""`mainstay export`: all pledges in one file."""

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
@click.option("--format", "file_format", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    default="-",
    help="The file to write; - is standard output.",
)
def export(file_format: str, out: Path) -> None:
    """Write all pledges to a file."""
    container = get_container()
    with container.database.transaction() as session:
        write_audit_log(session, container, "export_pledges", {"format": file_format})
    with _open_output(out) as file, container.database.read_only() as session:
        for chunk in write_export(file_format, stream_pledges(session, PledgeFilter())):
            file.write(chunk)
            if out != STANDARD_OUTPUT and sys.stderr.isatty():
                click.echo(f"\r{file.tell() // 1024:,} KiB", err=True, nl=False)
    if out != STANDARD_OUTPUT:
        click.echo(f"Wrote {out}.", err=True)


@contextmanager
def _open_output(out: Path) -> Iterator[BinaryIO]:
    """Open the output; a complete file replaces an existing one, and a failed export leaves it unchanged."""
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
