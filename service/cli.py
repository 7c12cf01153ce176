"""The `mainstay` command."""

import sys
from pathlib import Path
from typing import Any, NoReturn

import click
import yaml
from marshmallow import ValidationError
from sqlalchemy.exc import IntegrityError, OperationalError

from schemas.campaign import CampaignFile
from schemas.export import FORMATS
from schemas.vocabulary import Scope
from service import __version__, processes
from service.api.problems import flatten
from service.commands.keys import keys
from service.db.migration import migrate as apply_migrations
from service.db.violations import violated_constraint
from service.desk import Desk
from service.domain import campaigns, staff
from service.domain.campaign_shelf import let_go
from service.domain.errors import DomainError
from service.domain.export import write_export
from service.domain.pledge_list import PledgeFilter, stream_pledges
from service.settings import SettingsError, read_settings
from service.wiring import build_desk

COMMAND_LINE = "command line"
DEMO_CAMPAIGN = Path(__file__).with_name("demo_campaign.yaml")


class RefusingGroup(click.Group):
    """Turns what went wrong into one sentence and exit code 1; nobody sees a traceback for a wrong value."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (SettingsError, DomainError) as error:
            raise click.ClickException(str(error)) from error
        except OperationalError as error:
            raise click.ClickException(
                f"The database does not answer as it should ({type(error.orig).__name__}); "
                "check DATABASE_URL and run mainstay migrate."
            ) from error


@click.group(cls=RefusingGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mainstay")
def cli() -> None:
    """The support desk of a newsroom: reader donations, and the reminder that brings readers back."""


cli.add_command(keys)


def _desk() -> Desk:
    return build_desk(read_settings())


@cli.command()
def serve() -> None:
    """Serve the API, the pages and the widget."""
    processes.serve(read_settings())


@cli.command()
def worker() -> None:
    """Send reminders that are due and do the other regular work."""
    read_settings()
    processes.work()


@cli.command()
def dev() -> None:
    """Migrate, then run web and worker together, with a month that lasts a minute."""
    processes.develop()


@cli.command()
def migrate() -> None:
    """Bring the database up to date; an empty one gets a demo campaign."""
    migrate_and_seed(_desk())
    click.echo("The database is up to date.")


def migrate_and_seed(desk: Desk) -> None:
    """Apply what migrations are missing, and seed the demo campaign where there is no campaign at all."""
    apply_migrations(desk.database.engine)
    if seed(desk):
        click.echo("Added the demo campaign 'default'.")


def seed(desk: Desk) -> bool:
    """Add the demo campaign where there is no campaign at all; return whether it was added."""
    try:
        with desk.database.transaction() as session:
            if campaigns.has_campaigns(session):
                return False
            terms = campaigns.read_terms(read_campaign_file(DEMO_CAMPAIGN))
            campaigns.apply_campaign(session, terms, now=desk.clock())
    except IntegrityError as error:
        if violated_constraint(error) != "uq_campaigns_slug":
            raise
        # Another release process seeded it a moment before.
        return False
    return True


@cli.group()
def token() -> None:
    """Make and revoke the tokens that staff use."""


@token.command("create")
@click.option("--name", required=True, help="Who or what the token is for.")
@click.option(
    "--scope",
    "scopes",
    required=True,
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may do; give the option again for more.",
)
def create_token(name: str, scopes: tuple[str, ...]) -> None:
    """Print a new token, once and alone on standard output."""
    desk = _desk()
    with desk.database.transaction() as session:
        text = staff.create_staff_token(
            session, name=name, scopes=[Scope(word) for word in scopes], now=desk.clock()
        )
        staff.write_audit(
            session,
            actor=COMMAND_LINE,
            action="create_token",
            details={"name": name, "scopes": scopes},
            now=desk.clock(),
        )
    click.echo(text)


@token.command("revoke")
@click.option("--name", required=True, help="The name it was created with.")
def revoke_token(name: str) -> None:
    """Revoke every token of this name."""
    desk = _desk()
    with desk.database.transaction() as session:
        revoked = staff.revoke_staff_tokens(session, name=name, now=desk.clock())
        staff.write_audit(
            session, actor=COMMAND_LINE, action="revoke_token", details={"name": name}, now=desk.clock()
        )
    click.echo(f"Revoked {revoked} token{'s' if revoked > 1 else ''} named {name!r}.", err=True)


@token.command("list")
def list_tokens() -> None:
    """List tokens by name; a token itself is never shown again."""
    with _desk().database.reading() as session:
        for row in staff.list_staff_tokens(session):
            state = "in use" if row.revoked_at is None else f"revoked {row.revoked_at:%Y-%m-%d}"
            click.echo(f"{row.name}  {', '.join(row.scopes)}  made {row.created_at:%Y-%m-%d}  {state}")


@cli.group()
def campaign() -> None:
    """Show and change what an appeal says and offers."""


@campaign.command("show")
@click.argument("slug", default="default")
def show_campaign(slug: str) -> None:
    """Print a campaign as a file that can be changed and applied again."""
    with _desk().database.reading() as session:
        file = CampaignFile().dump(campaigns.campaign_terms(campaigns.find_campaign(session, slug)))
    click.echo(yaml.safe_dump(file, allow_unicode=True, sort_keys=False, width=100), nl=False)


@campaign.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def apply_campaign(file: Path) -> None:
    """Make a campaign say and offer exactly what FILE says."""
    terms = campaigns.read_terms(read_campaign_file(file))
    desk = _desk()
    with desk.database.transaction() as session:
        campaigns.apply_campaign(session, terms, now=desk.clock())
        staff.write_audit(
            session,
            actor=COMMAND_LINE,
            action="apply_campaign",
            details={"campaign": terms.slug},
            now=desk.clock(),
        )
    let_go()
    click.echo(f"Applied the campaign {terms.slug!r}.", err=True)


def read_campaign_file(file: Path) -> dict[str, Any]:
    """Read and check a campaign file.

    Raises:
        click.ClickException: it is not YAML or not a campaign; every fault is listed with its place.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file} is not readable as YAML: {error}") from error
    try:
        loaded: dict[str, Any] = CampaignFile().load(content)
    except ValidationError as error:
        faults = flatten({"file": error.messages})
        lines = "\n".join(f"  {place}: {' '.join(lines)}" for place, lines in sorted(faults.items()))
        raise click.ClickException(f"{file} was not applied:\n{lines}") from error
    return loaded


@cli.command()
@click.option("--format", "kind", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option(
    "--out", type=click.File("wb", atomic=True), default="-", help="Where to write; - is standard output."
)
def export(kind: str, out: Any) -> None:
    """Write every pledge to a file."""
    desk = _desk()
    with desk.database.transaction() as session:
        staff.write_audit(
            session, actor=COMMAND_LINE, action="export_pledges", details={"format": kind}, now=desk.clock()
        )
    count = 0
    with desk.database.reading() as session:
        for piece in write_export(kind, stream_pledges(session, PledgeFilter())):
            out.write(piece)
            count += piece.count(b"\n")
            if out.name not in ("-", "<stdout>") and sys.stderr.isatty():
                click.echo(f"\r{count} lines", err=True, nl=False)
    out.flush()


def main() -> NoReturn:
    """Run the command line."""
    cli(prog_name="mainstay")
    raise SystemExit(0)
