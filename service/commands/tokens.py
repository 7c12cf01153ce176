"""`mainstay token`: create, revoke and list staff tokens."""

import uuid

import click

from schemas.enums import Scope
from service.commands.context import get_container, write_audit_log
from service.commands.tables import format_table
from service.db.models.admin import StaffToken
from service.domain import staff

HEADINGS = ("id", "name", "scope", "created", "last use (UTC)", "state")
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
    """Create a token and print it (shown once)."""
    container = get_container()
    with container.database.transaction() as session:
        staff.require_free_name(session, name)
        secret = staff.create_staff_token(
            session, name=name, scopes=[Scope(scope) for scope in scopes], now=container.clock()
        )
        write_audit_log(session, container, "create_token", {"name": name, "scopes": scopes})
    click.echo(secret)


@token.command("revoke")
@click.argument("token_id", metavar="[ID]", type=click.UUID, required=False)
@click.option("--name", help="The name that was given at creation, instead of the ID.")
def revoke_token(token_id: uuid.UUID | None, name: str | None) -> None:
    """Revoke the token with this ID, as mainstay token list shows it, or with this name."""
    if (token_id is None) == (name is None):
        raise click.UsageError("Give the ID that mainstay token list shows, or --name.")
    container = get_container()
    with container.database.transaction() as session:
        revoked = staff.revoke_staff_token(session, token_id=token_id, name=name or "", now=container.clock())
        write_audit_log(session, container, "revoke_token", {"name": revoked.name, "token": str(revoked.id)})
    click.echo(f"Revoked the token {revoked.id}, named {revoked.name!r}.", err=True)


@token.command("list")
def list_tokens() -> None:
    """List tokens, oldest first: id, name, scope, day of creation, last use (UTC) and state.

    The tokens themselves are not stored. The last use is at most a minute old.
    """
    with get_container().database.read_only() as session:
        rows = [_row(token) for token in staff.list_staff_tokens(session)]
    if rows:
        click.echo(format_table([HEADINGS, *rows]))
    else:
        click.echo("There is no token yet; mainstay token create makes one.", err=True)


def _row(token: StaffToken) -> tuple[str, ...]:
    return (
        str(token.id),
        token.name,
        ", ".join(token.scopes),
        f"{token.created_at:%Y-%m-%d}",
        "never" if token.last_used_at is None else f"{token.last_used_at:%Y-%m-%d %H:%M}",
        "in use" if token.revoked_at is None else f"revoked {token.revoked_at:%Y-%m-%d}",
    )
