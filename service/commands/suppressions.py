"""`mainstay suppressions`: the addresses that get no email."""

import sys
from pathlib import Path

import click

from schemas.enums import SuppressionReason
from service.commands.context import get_container, pluralise, write_audit_log
from service.commands.mailbox_files import read_messages
from service.db.keyring import KEY_ID_BYTES
from service.db.models.email import ALL_CAMPAIGNS, Suppression
from service.domain.email import suppression
from service.domain.email.addresses import normalise_address
from service.domain.reminders.complaints import apply_abuse_report
from service.gateways.email_webhooks.arf import parse_abuse_report

# Enough to tell the hashes apart, after the key id that most of them share.
HASH_PREFIX_BYTES = 6
PROGRESS_EVERY = 1000


@click.group()
def suppressions() -> None:
    """List, check and lift suppressions of email addresses.

    A suppression stores only a keyed hash of the address. It is created by a bounce, a complaint, an unsubscribe
    or an erasure. A reader who unsubscribed lifts it by asking for a reminder again.
    """


@suppressions.command("list")
@click.option(
    "--reason",
    type=click.Choice([reason.value for reason in SuppressionReason]),
    help="Only suppressions for this reason.",
)
def list_suppressions(reason: str | None) -> None:
    """List suppressions, oldest first: start of the hash, scope, reason, and since when.

    The scope is a campaign's slug, or * for every campaign.
    """
    only = None if reason is None else SuppressionReason(reason)
    with get_container().database.read_only() as session:
        for row in suppression.list_suppressions(session, reason=only):
            click.echo(_format_row(row))
        counts = suppression.count_suppressions(session)
    total = sum(counts.values()) if only is None else counts[only]
    click.echo(f"{total} in all.", err=True)


@suppressions.command("check")
@click.argument("address")
def check_address(address: str) -> None:
    """Show the suppressions of ADDRESS; - reads it from standard input.

    Standard input keeps the address out of your shell's history. The check is recorded in the audit log, without
    the address. The exit code is 0 either way.
    """
    container, normalised = get_container(), _parse_address(address)
    with container.database.transaction() as session:
        rows = suppression.suppressions_for(session, normalised)
        write_audit_log(session, container, "check_suppression", {"found": len(rows)})
    for row in rows:
        click.echo(_format_row(row))
    if not rows:
        click.echo("Not suppressed.")


@suppressions.command("lift")
@click.argument("address")
@click.option(
    "--scope", help="Only the suppression with this scope: a campaign's slug, or *. Default: all of them."
)
def lift_suppression(address: str, scope: str | None) -> None:
    """Allow email to ADDRESS again; - reads it from standard input.

    Lift a bounce after its cause is fixed, and a complaint only if the reader asks for it. Your email service may
    have its own suppression list, which this does not change. Recorded in the audit log, without the address.
    """
    container, normalised = get_container(), _parse_address(address)
    with container.database.transaction() as session:
        lifted = suppression.lift_suppression(session, normalised, scope=scope)
        if not lifted:
            where = "" if scope in (None, ALL_CAMPAIGNS) else f" in {scope!r}"
            raise click.ClickException(f"Not suppressed{where}.")
        write_audit_log(session, container, "lift_suppression", {"lifted": lifted, "scope": scope})
    click.echo(f"Lifted {pluralise(lifted, 'suppression')}.")


@suppressions.command("import-arf")
@click.argument("file", type=click.Path(exists=True, allow_dash=True, path_type=Path))
def import_abuse_reports(file: Path) -> None:
    """Suppress the readers of the abuse reports (ARF, RFC 5965) in FILE.

    FILE is one email, a mailbox in the format mbox, or a folder in the format Maildir; - reads an email or an mbox
    from standard input. Only a report that contains an email of ours counts, because anyone can write one.
    Importing it again changes nothing. Recorded in the audit log.
    """
    container = get_container()
    counts = {"messages": 0, "complaints": 0, "unknown": 0}
    for content in read_messages(file):
        counts["messages"] += 1
        report = parse_abuse_report(content)
        if report is not None:
            with container.database.transaction() as session:
                is_ours = apply_abuse_report(session, report, now=container.clock())
            counts["complaints" if is_ours else "unknown"] += 1
        if counts["messages"] % PROGRESS_EVERY == 0:
            click.echo(f"{counts['messages']} messages read…", err=True)
    with container.database.transaction() as session:
        write_audit_log(session, container, "import_abuse_reports", counts)
    messages, complaints = (pluralise(counts[f"{name}s"], name) for name in ("message", "complaint"))
    click.echo(
        f"{messages} read: {complaints} about an email of ours, {counts['unknown']} about no email known here."
    )


def _format_row(row: Suppression) -> str:
    prefix = row.email_hash[KEY_ID_BYTES:][:HASH_PREFIX_BYTES].hex()
    return f"{prefix}  {row.scope}  {row.reason}  {row.at:%Y-%m-%dT%H:%M:%SZ}"


def _parse_address(argument: str) -> str:
    return normalise_address(sys.stdin.readline() if argument == "-" else argument)
