"""`mainstay keys`: the secret keys and what lies encrypted under them."""

import sys

import click

from service.commands.context import get_container, write_audit_log
from service.domain.privacy.key_rotation import RotationResult, rotate_keys

UNROTATABLE_MESSAGE = """\
{} addresses that bounced or complained belong to nobody who is stored, so that only an older key knows them.
For as long as these are to get no mail, keep the older keys in SECRET_KEYS, behind the first. Without them, a
reader who signs up with such an address is written to again, until it bounces again."""


@click.group()
def keys() -> None:
    """Change the keys that encrypt addresses and sign links."""


@keys.command("rotate")
def rotate() -> None:
    """Encrypt everything under the first key of SECRET_KEYS.

    First put the new key before the old one, restart every process, and only then run this. It works beside the
    running service and may be stopped and run again. When it has ended without complaint, nothing stored needs the
    old key; but links in mails that were sent before were signed with it, and stop working once it is dropped.

    Addresses that bounced or complained and that belong to nobody stored are kept as hashes alone, which cannot be
    made anew: they count for as long as the old key stays behind the first. It says how many there are.
    """
    container = get_container()

    def show(so_far: RotationResult) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{so_far.rotated} rows", err=True, nl=False)

    done = rotate_keys(container.database.transaction, clock=container.clock, progress=show)
    counts = {
        "rotated": done.rotated,
        "merged": done.merged,
        "suppressions": done.suppressions,
        "left_behind": done.unrotatable,
        "unreadable": len(done.undecryptable),
    }
    with container.database.transaction() as session:
        write_audit_log(session, container, "rotate_keys", counts)
    click.echo(f"Encrypted {done.rotated} rows anew under the first key.")
    if done.merged:
        click.echo(f"Merged {done.merged} people who were known twice.")
    if done.suppressions:
        click.echo(f"Moved {done.suppressions} suppressions with the addresses that they stand against.")
    if done.unrotatable:
        click.echo(UNROTATABLE_MESSAGE.format(done.unrotatable))
    if done.undecryptable:
        ids = "\n".join(f"  {row_id}" for row_id in done.undecryptable)
        raise click.ClickException(
            f"{len(done.undecryptable)} rows open with no key of SECRET_KEYS and were left as they are:\n{ids}"
        )
