"""`mainstay token`: create, revoke and list staff tokens."""

import click

from schemas.enums import Scope
from service.commands.context import get_container, pluralise, write_audit_log
from service.domain import staff

MAX_NAME_LENGTH = 120


@click.group()
def token() -> None:
    """Create, revoke and list the tokens that staff use."""


def validate_name(_context: click.Context, _option: click.Parameter, name: str) -> str:
    """Return the trimmed name.

    Raises:
        click.BadParameter: it is empty, too long, or not printable on one line.
    """
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise click.BadParameter(f"use 1 to {MAX_NAME_LENGTH} characters on one line.")
    return name


@token.command("create")
@click.option(
    "--name", required=True, callback=validate_name, help="The person or program that will use the token."
)
@click.option(
    "--scope",
    "scopes",
    required=True,
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What the token allows; repeat the option for more scopes.",
)
def create_token(name: str, scopes: tuple[str, ...]) -> None:
    """Create a token and print it; it is not shown again."""
    container = get_container()
    with container.database.transaction() as session:
        secret = staff.create_staff_token(
            session, name=name, scopes=[Scope(scope) for scope in scopes], now=container.clock()
        )
        write_audit_log(session, container, "create_token", {"name": name, "scopes": scopes})
    click.echo(secret)


@token.command("revoke")
@click.option("--name", required=True, help="The name that was given at creation.")
def revoke_token(name: str) -> None:
    """Revoke all tokens with this name."""
    container = get_container()
    with container.database.transaction() as session:
        revoked = staff.revoke_staff_tokens(session, name=name, now=container.clock())
        write_audit_log(session, container, "revoke_token", {"name": name})
    click.echo(f"Revoked {pluralise(revoked, 'token')} named {name!r}.", err=True)


@token.command("list")
def list_tokens() -> None:
    """List tokens by name, with their scopes; the tokens themselves are not stored."""
    with get_container().database.read_only() as session:
        for row in staff.list_staff_tokens(session):
            state = "in use" if row.revoked_at is None else f"revoked {row.revoked_at:%Y-%m-%d}"
            click.echo(f"{row.name}  {', '.join(row.scopes)}  made {row.created_at:%Y-%m-%d}  {state}")
