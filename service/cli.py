"""The `mainstay` command."""

import sqlite3
from typing import Any, NoReturn

import click
import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service import __version__, processes
from service.commands.backup import backup
from service.commands.campaign_brand import brand
from service.commands.campaigns import campaign
from service.commands.copy_database import copy_database
from service.commands.database_errors import explain_database_error
from service.commands.demo import demo
from service.commands.emails import emails
from service.commands.export import export
from service.commands.jobs import jobs
from service.commands.keys import keys, require_right_keys
from service.commands.migrate import migrate
from service.commands.receipts import receipts
from service.commands.refunds import refunds
from service.commands.restore_guard import restore_guard
from service.commands.stripe import stripe
from service.commands.supporters import supporters
from service.commands.suppressions import suppressions
from service.commands.texts import texts
from service.commands.tokens import token
from service.domain.errors import DomainError
from service.setting_values import SettingsError
from service.settings import read_settings

EXIT_CODES = """\
Exit codes: 0 if it was done; 1 if it was not, with the reason in one sentence on standard error; 2 if the command
line is wrong.
"""


class ErrorHandlingGroup(click.Group):
    """Reports expected errors as one sentence with exit code 1, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (SettingsError, DomainError) as error:
            raise click.ClickException(str(error)) from error
        except (DBAPIError, PoolTimeout, sqlite3.Error, psycopg.Error) as error:
            settings, name = read_settings(allow_short_old_keys=True), "DATABASE_URL"
            url = settings.database_url
            if ctx.invoked_subcommand == "migrate" and settings.migration_database_url is not None:
                url, name = settings.migration_database_url, "MIGRATION_DATABASE_URL"
            sentence = explain_database_error(error, url)
            if sentence is None:
                raise
            raise click.ClickException(sentence.replace("DATABASE_URL", name)) from error


@click.group(cls=ErrorHandlingGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mainstay")
def cli() -> None:
    """Reader donations for newsrooms, with reminders that bring readers back."""


@cli.command()
def serve() -> None:
    """Serve the API, the web pages and the widget."""
    settings = read_settings()
    require_right_keys(settings)
    processes.serve(settings)


@cli.command()
@click.option(
    "--processes",
    "number",
    type=click.IntRange(1, 32),
    default=1,
    show_default=True,
    help="How many worker processes to run. Each opens MAIL_CONNECTIONS, and its own connections to the database.",
)
def worker(number: int) -> None:
    """Send due emails and run the other scheduled jobs."""
    processes.run_worker(read_settings(), processes=number)


@cli.command()
def dev() -> None:
    """Run web and worker together, to try Mainstay.

    The database is migrated first, and a month lasts a minute.
    """
    processes.run_dev()


for command in (
    migrate,
    backup,
    restore_guard,
    copy_database,
    token,
    campaign,
    demo,
    emails,
    export,
    jobs,
    keys,
    receipts,
    refunds,
    stripe,
    supporters,
    suppressions,
    texts,
):
    cli.add_command(command)
campaign.add_command(brand)


def main() -> NoReturn:
    cli(prog_name="mainstay")
    raise SystemExit(0)
