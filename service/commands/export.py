"""`mainstay export`: pledges in one file."""

import sys
from pathlib import Path
from typing import Any

import click
from marshmallow import ValidationError

from schemas.admin import FORMATS
from schemas.enums import Frequency, PledgeStatus
from schemas.pledge import PledgeQuery
from service.commands.context import get_container, write_audit_log
from service.commands.output_file import STANDARD_OUTPUT, choose_output, open_output
from service.domain.pledges.export import write_export
from service.domain.pledges.queries import PledgeFilter, stream_pledges


@click.command()
@click.option("--format", "file_format", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    help="The file to write; - is standard output, which is also the default where it is no terminal.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("--campaign", help="Only pledges of this campaign.")
@click.option("--status", type=click.Choice([str(status) for status in PledgeStatus]))
@click.option("--frequency", type=click.Choice([str(frequency) for frequency in Frequency]))
@click.option("--created-from", metavar="DATE", help="Only pledges made on this day or later.")
@click.option("--created-to", metavar="DATE", help="Only pledges made on this day or earlier.")
@click.option("--paid-from", metavar="DATE", help="Only payments on this day or later, and their totals.")
@click.option("--paid-to", metavar="DATE", help="Only payments on this day or earlier, and their totals.")
@click.option("--tz", metavar="ZONE", help="Days and times of this time zone, not of each campaign's own.")
@click.option(
    "--bom/--no-bom",
    default=True,
    help="Begin CSV with a byte order mark, so that Excel reads it as UTF-8.  [default: bom]",
)
def export(file_format: str, out: Path | None, *, force: bool, bom: bool, **filters: str | None) -> None:
    """Write pledges to a file.

    Without options, all pledges are written.

    "Who paid how much in 2026?" is --paid-from 2026-01-01 --paid-to 2026-12-31.
    """
    selected = _parse_filters(filters)
    out = choose_output(out, force=force, is_text=file_format != "xlsx")
    container = get_container()
    details = {name: str(value) for name, value in selected.items()}
    with container.database.transaction() as session:
        write_audit_log(session, container, "export_pledges", {"format": file_format, **details})
    with open_output(out, force=force) as file, container.database.read_only() as session:
        for chunk in write_export(file_format, stream_pledges(session, PledgeFilter(**selected)), bom=bom):
            file.write(chunk)
            if out != STANDARD_OUTPUT and sys.stderr.isatty():
                click.echo(f"\r{file.tell() // 1024:,} KiB", err=True, nl=False)
    if out != STANDARD_OUTPUT:
        if sys.stderr.isatty():
            click.echo(err=True)
        click.echo(f"Wrote {out}.", err=True)


def _parse_filters(filters: dict[str, str | None]) -> dict[str, Any]:
    """Return the filters as the API parses them.

    Raises:
        click.BadParameter: a value is invalid.
    """
    try:
        selected: dict[str, Any] = PledgeQuery().load({name: value for name, value in filters.items() if value})
    except ValidationError as error:
        name, messages = next(iter(error.messages_dict.items()))
        raise click.BadParameter(messages[0], param_hint=f"--{name.replace('_', '-')}") from error
    return selected
