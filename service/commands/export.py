"""`mainstay export`: every pledge in one file."""

import sys
from typing import Any

import click

from schemas.export import FORMATS
from service.commands.opening import audit, open_desk
from service.domain.export import write_export
from service.domain.pledge_list import PledgeFilter, stream_pledges


@click.command()
@click.option("--format", "kind", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option(
    "--out", type=click.File("wb", atomic=True), default="-", help="Where to write; - is standard output."
)
def export(kind: str, out: Any) -> None:
    """Write every pledge to a file."""
    desk = open_desk()
    with desk.database.transaction() as session:
        audit(session, desk, "export_pledges", {"format": kind})
    count = 0
    with desk.database.reading() as session:
        for piece in write_export(kind, stream_pledges(session, PledgeFilter())):
            out.write(piece)
            count += piece.count(b"\n")
            if out.name not in ("-", "<stdout>") and sys.stderr.isatty():
                click.echo(f"\r{count} lines", err=True, nl=False)
    out.flush()
