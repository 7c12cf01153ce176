"""The `mainstay` command."""

from typing import Any, NoReturn

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from service import __version__, processes
from service.commands.campaigns import campaign
from service.commands.demo import demo
from service.commands.export import export
from service.commands.jobs import jobs
from service.commands.keys import keys, require_right_keys
from service.commands.migrate import migrate
from service.commands.notifications import notices
from service.commands.refunds import refunds
from service.commands.reminders import reminders
from service.commands.stripe import stripe
from service.commands.supporters import supporters
from service.commands.suppressions import suppressions
from service.commands.tokens import token
from service.domain.errors import DomainError
from service.settings import SettingsError, read_settings


class ErrorHandlingGroup(click.Group):
    """Reports expected errors as one sentence with exit code 1, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (SettingsError, DomainError) as error:
            raise click.ClickException(str(error)) from error
        except (OperationalError, ProgrammingError) as error:
            raise click.ClickException(
                f"The database does not answer as it should ({type(error.orig).__name__}); "
                "check DATABASE_URL and run mainstay migrate."
            ) from error


@click.group(cls=ErrorHandlingGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mainstay")
def cli() -> None:
    """Reader donations for newsrooms, and the reminder that brings readers back."""


@cli.command()
def serve() -> None:
    """Serve the API, the web pages and the widget."""
    settings = read_settings()
    require_right_keys(settings)
    processes.serve(settings)


@cli.command()
def worker() -> None:
    """Send due reminders and run the other scheduled jobs."""
    processes.run_worker(read_settings())


@cli.command()
def dev() -> None:
    """Migrate the database, then run web and worker together, with months that last a minute."""
    processes.run_dev()


for command in (
    migrate,
    token,
    campaign,
    demo,
    export,
    jobs,
    keys,
    notices,
    refunds,
    reminders,
    stripe,
    supporters,
    suppressions,
):
    cli.add_command(command)


def main() -> NoReturn:
    cli(prog_name="mainstay")
    raise SystemExit(0)
