"""`mainstay supporters`: find a supporter by address, change the address, and erase a supporter."""

import sys
import uuid

import click

from schemas.enums import ErasureStatus
from service.commands.context import CLI_ACTOR, get_container, pluralise, write_audit_log
from service.domain.email.addresses import normalise_address
from service.domain.errors import EmailInUse
from service.domain.privacy.address_changes import change_address
from service.domain.privacy.erasure import erase
from service.domain.supporters import find_supporters


@click.group()
def supporters() -> None:
    """Find supporters, change their address, and erase them.

    Leave ADDRESS out to be asked for it, or to read it from standard input. That keeps it out of your shell's
    history.
    """


@supporters.command("find")
@click.argument("address", required=False)
def find(address: str | None) -> None:
    """Show the id of the supporter with ADDRESS, and their pledges and reminders.

    The address must match exactly, except for letter case. The search is recorded in the audit log, without the
    address. The exit code is 0 either way.
    """
    container, normalised = get_container(), _read_address(address)
    with container.database.transaction() as session:
        found = find_supporters(session, normalised)
        details = {"supporters": [str(supporter.id) for supporter in found]}
        write_audit_log(session, container, "find_supporter", details)
    for supporter in found:
        counts = f"{pluralise(supporter.pledges, 'pledge')}, {pluralise(supporter.reminders, 'reminder')}"
        click.echo(f"{supporter.id}  {counts}, since {supporter.created_at:%Y-%m-%d}")
        for pledge_id in supporter.pledge_ids:
            click.echo(f"  pledge {pledge_id}")
    if not found:
        click.echo("No supporter has this address.")


@supporters.command("change-email")
@click.argument("supporter_id", metavar="ID", type=click.UUID)
@click.argument("address", required=False)
@click.option("--merge", is_flag=True, help="If another supporter has the address, merge the two.")
def change_email(supporter_id: uuid.UUID, address: str | None, *, merge: bool) -> None:
    """Give the supporter with this ID another ADDRESS, here and at the payment provider.

    Pledges and reminders move along. A merge cannot be undone: the pledges and reminders of both become those of
    ID. The change is recorded in the audit log, without the address.
    """
    container, normalised = get_container(), _read_address(address)
    with container.database.transaction() as session:
        details = {"supporter": str(supporter_id), "merge": merge}
        write_audit_log(session, container, "change_email", details)
    try:
        changed = change_address(
            container.database.transaction,
            container.gateway,
            supporter_id,
            normalised,
            merge=merge,
            clock=container.clock,
        )
    except EmailInUse as error:
        raise click.ClickException("Another supporter has this address. Add --merge to merge the two.") from error
    click.echo("Changed the address." if not changed.merged else "Changed the address and merged two supporters.")
    for result, sentence in (
        ("updated", "{} at the payment provider got it too."),
        ("pending", "{} at the payment provider will get it when the provider responds."),
        ("refused", "{} could not be changed at the payment provider; look there."),
    ):
        if changed.customers[result]:
            click.echo(sentence.format(pluralise(changed.customers[result], "customer")))


@supporters.command("erase")
@click.argument("address", required=False)
@click.option(
    "--keep-recurring",
    is_flag=True,
    help="Erase nothing if the supporter still gives regularly; name the pledges.",
)
def erase_supporter(address: str | None, *, keep_recurring: bool) -> None:
    """Erase the supporter with ADDRESS, here and at the payment provider. This cannot be undone.

    Recurring pledges are ended at the payment provider first. Pledges keep their amounts, without a person. If
    the provider does not respond, the worker completes the erasure. Recorded in the audit log, without the
    address.
    """
    container = get_container()
    result = erase(
        container.database.transaction,
        container.gateway,
        _read_address(address),
        end_recurring=not keep_recurring,
        requested_by=CLI_ACTOR,
        clock=container.clock,
    )
    if result.recurring_ended:
        click.echo(f"Ended {pluralise(result.recurring_ended, 'recurring pledge')}.")
    if result.status == ErasureStatus.REQUESTED:
        click.echo("The payment provider isn't responding. The worker completes the erasure when it does.")
        return
    if not result.found:
        click.echo("No supporter has this address, so there was nothing to erase.")
        return
    counts = f"{pluralise(result.pledges, 'pledge')}, {pluralise(result.reminders, 'reminder')}"
    click.echo(f"Erased the supporter: {counts}.")
    for sentence in result.kept:
        click.echo(f"Kept: {sentence}")


def _read_address(argument: str | None) -> str:
    if argument is not None and argument != "-":
        return normalise_address(argument)
    if sys.stdin.isatty():
        return normalise_address(click.prompt("Email address", err=True))
    return normalise_address(sys.stdin.readline())
