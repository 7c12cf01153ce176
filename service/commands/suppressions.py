"""`mainstay suppressions`: the addresses that get no more mail."""

import sys

import click

from schemas.enums import SuppressionReason
from service.commands.context import get_container, write_audit_log
from service.db.keyring import KEY_ID_BYTES
from service.db.models.email import ALL_CAMPAIGNS, Suppression
from service.domain.email import suppression
from service.domain.email.addresses import normalise_address

# Behind the mark of the key, which most of them share, enough to tell them apart.
HASH_PREFIX_BYTES = 6


@click.group()
def suppressions() -> None:
    """Look at the addresses that get no more mail, and let mail go to one again.

    An address is kept only as a keyed hash. It is on the list after a bounce, a complaint, an unsubscribing or an
    erasure; what a reader said, they take back themselves by asking for a reminder again.
    """


@suppressions.command("list")
@click.option(
    "--reason", type=click.Choice([word.value for word in SuppressionReason]), help="Only those for this reason."
)
def list_suppressions(reason: str | None) -> None:
    """List them, the oldest first: the beginning of the hash, where it holds, why, and since when.

    Where it holds is a campaign's slug, or * for every campaign.
    """
    wanted = None if reason is None else SuppressionReason(reason)
    with get_container().database.read_only() as session:
        for row in suppression.list_suppressions(session, reason=wanted):
            click.echo(_format_row(row))
        counted = suppression.count_suppressions(session)
    number = sum(counted.values()) if wanted is None else counted[wanted]
    click.echo(f"{number} in all.", err=True)


@suppressions.command("check")
@click.argument("address")
def check_address(address: str) -> None:
    """Say whether mail may go to ADDRESS; with - it is read from standard input.

    Standard input keeps the address out of the shell's history. The look is written to the audit log, without the
    address. The exit code is 0 either way.
    """
    container, wanted = get_container(), _parse_address(address)
    with container.database.transaction() as session:
        rows = suppression.suppressions_for(session, wanted)
        write_audit_log(session, container, "check_suppression", {"found": len(rows)})
    for row in rows:
        click.echo(_format_row(row))
    if not rows:
        click.echo("Nothing stands against this address.")


@suppressions.command("lift")
@click.argument("address")
@click.option(
    "--scope", help="Only in this campaign, by its slug, or * for what holds in all. Default: everything."
)
def lift_suppression(address: str, scope: str | None) -> None:
    """Let mail go to ADDRESS again; with - it is read from standard input.

    Lift a bounce when its cause is mended, and a complaint only when the reader asks for it. The mail service may
    have a list of its own, which this does not change. It is written to the audit log, without the address.
    """
    container, wanted = get_container(), _parse_address(address)
    with container.database.transaction() as session:
        lifted = suppression.lift_suppression(session, wanted, scope=scope)
        if not lifted:
            where = "" if scope in (None, ALL_CAMPAIGNS) else f" in {scope!r}"
            raise click.ClickException(f"Nothing stands against this address{where}.")
        write_audit_log(session, container, "lift_suppression", {"lifted": lifted, "scope": scope})
    click.echo(f"Lifted {lifted} suppression{'s' if lifted > 1 else ''}.")


def _format_row(row: Suppression) -> str:
    shown = row.email_hash[KEY_ID_BYTES:][:HASH_PREFIX_BYTES].hex()
    return f"{shown}  {row.scope}  {row.reason}  {row.at:%Y-%m-%dT%H:%M:%SZ}"


def _parse_address(given: str) -> str:
    return normalise_address(sys.stdin.readline() if given == "-" else given)
