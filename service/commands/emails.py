"""`mainstay emails`: look at how emails are sent."""

import click

from service.commands.emails_check import check


@click.group()
def emails() -> None:
    """Check how emails are sent."""


emails.add_command(check)
