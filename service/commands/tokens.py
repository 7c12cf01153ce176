"""`mainstay token`: the tokens that staff use."""

import click

from schemas.enums import Scope
from service.commands.context import get_container, write_audit_log
from service.domain import staff


@click.group()
def token() -> None:
    """Make and revoke the tokens that staff use."""


MAX_NAME_LENGTH = 120


def validate_name(_context: click.Context, _option: click.Parameter, name: str) -> str:
    """Return the name, trimmed, or refuse one that the list could not show."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise click.BadParameter(f"use 1 to {MAX_NAME_LENGTH} characters on one line.")
    return name


@token.command("create")
@click.option("--name", required=True, callback=validate_name, help="Who or what the token is for.")
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
    container = get_container()
    with container.database.transaction() as session:
        text = staff.create_staff_token(
            session, name=name, scopes=[Scope(word) for word in scopes], now=container.clock()
        )
        write_audit_log(session, container, "create_token", {"name": name, "scopes": scopes})
    click.echo(text)


@token.command("revoke")
@click.option("--name", required=True, help="The name it was created with.")
def revoke_token(name: str) -> None:
    """Revoke every token of this name."""
    container = get_container()
    with container.database.transaction() as session:
        revoked = staff.revoke_staff_tokens(session, name=name, now=container.clock())
        write_audit_log(session, container, "revoke_token", {"name": name})
    click.echo(f"Revoked {revoked} token{'s' if revoked > 1 else ''} named {name!r}.", err=True)


@token.command("list")
def list_tokens() -> None:
    """List tokens by name; a token itself is never shown again."""
    with get_container().database.read_only() as session:
        for row in staff.list_staff_tokens(session):
            state = "in use" if row.revoked_at is None else f"revoked {row.revoked_at:%Y-%m-%d}"
            click.echo(f"{row.name}  {', '.join(row.scopes)}  made {row.created_at:%Y-%m-%d}  {state}")
