"""`mainstay keys`: rotation of the secret keys."""

import sys
import uuid
from pathlib import Path

import click
from sqlalchemy.exc import SQLAlchemyError

from service.commands.context import get_container, pluralise, write_audit_log
from service.commands.output_file import open_output
from service.db.keyring import Keyring
from service.db.session import Database, create_database_engine
from service.domain.privacy.key_canary import WRONG_KEYS, has_right_keys
from service.domain.privacy.key_rotation import RotationResult, rotate_keys
from service.settings import Settings, sqlite_path

# More ids than this would push the sentence that explains them off the screen.
SHOWN_IDS = 3
UNROTATABLE_MESSAGE = """\
{} addresses that bounced or complained have no supporter any more, so only an older key recognises them.
As long as these addresses must get no email, keep the older keys in SECRET_KEYS, behind the first. Without those
keys, a reader who signs up with such an address gets emails again, until the next bounce."""

ERASURES_MESSAGE = """\
{} recognised only by an older key, because the address is gone. Keep the older keys in SECRET_KEYS until
{:%d %B %Y}. Without them, a payment event of an erased supporter that arrives late stores the address again."""


def require_right_keys(settings: Settings) -> None:
    """Check that the keys are those of the database, so that nothing is stored that nobody else can read.

    A database that does not answer, or is not migrated, stops nothing here; `/readyz` reports it.

    Raises:
        click.ClickException: they are not.
    """
    path = sqlite_path(settings.database_url)
    if path is not None and not path.exists():
        return
    engine = create_database_engine(settings, Keyring(settings.secret_keys))
    try:
        with Database(engine).read_only() as session:
            are_right = has_right_keys(session)
    except SQLAlchemyError:
        return
    finally:
        engine.dispose()
    if not are_right:
        raise click.ClickException(WRONG_KEYS)


@click.group()
def keys() -> None:
    """Rotate the keys that encrypt addresses and sign links."""


@keys.command("rotate")
@click.option(
    "--unreadable",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the ids of rows that no key opens to FILE, one on a line.",
)
def rotate(unreadable: Path | None) -> None:
    """Encrypt all stored data with the first key of SECRET_KEYS.

    Before you run this, deploy every process twice: first with SECRET_KEYS=old,new, so that each can read both,
    then with SECRET_KEYS=new,old. Afterwards, SECRET_KEYS=new is enough. The command is safe to run while the
    service runs, and to stop and run again. When it ends without an error, no stored data needs the
    old key. Links in emails sent before were signed with the old key and stop working when you remove it.

    Suppressed addresses that belong to no stored supporter exist only as hashes, which cannot be computed again.
    They work as long as the old key stays in the list. So do completed erasures, for 90 days. The command prints
    how many there are.
    """
    container = get_container(allow_short_old_keys=True)

    def show_progress(so_far: RotationResult) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{so_far.rotated} rows", err=True, nl=False)

    result = rotate_keys(container.database.transaction, clock=container.clock, progress=show_progress)
    if sys.stderr.isatty():
        click.echo(err=True)
    counts = {
        "rotated": result.rotated,
        "merged": result.merged,
        "suppressions": result.suppressions,
        "left_behind": result.unrotatable + result.erasures,
        "unreadable": len(result.undecryptable),
    }
    with container.database.transaction() as session:
        write_audit_log(session, container, "rotate_keys", counts)
    click.echo(f"Encrypted {pluralise(result.rotated, 'row')} again with the first key.")
    if result.merged:
        click.echo(f"Merged {pluralise(result.merged, 'duplicate supporter')}.")
    if result.suppressions:
        click.echo(f"Moved {result.suppressions} suppressions to the first key.")
    if result.unrotatable:
        click.echo(UNROTATABLE_MESSAGE.format(result.unrotatable))
    if result.erasures_until is not None:
        noun = "completed erasure is" if result.erasures == 1 else "completed erasures are"
        click.echo(ERASURES_MESSAGE.format(f"{result.erasures} {noun}", result.erasures_until))
    if result.undecryptable:
        raise click.ClickException(_describe_unreadable(result.undecryptable, unreadable))


def _describe_unreadable(ids: tuple[uuid.UUID, ...], file: Path | None) -> str:
    if len(ids) == 1:
        sentence = f"1 row opens with no key of SECRET_KEYS and was left as it is: {ids[0]}."
    elif len(ids) <= SHOWN_IDS:
        listed = ", ".join(map(str, ids))
        sentence = f"{len(ids):,} rows open with no key of SECRET_KEYS and were left as they are: {listed}."
    else:
        sentence = (
            f"{len(ids):,} rows open with no key of SECRET_KEYS and were left as they are, such as {ids[0]}."
        )
    advice = "Add the key that they were encrypted with to the end of SECRET_KEYS, and run this again."
    if file is not None:
        with open_output(file, force=True) as output:
            output.writelines(f"{row_id}\n".encode() for row_id in ids)
        return f"{sentence} {advice} Their ids are in {file}."
    return f"{sentence} {advice}" + (" --unreadable FILE lists all ids." if len(ids) > SHOWN_IDS else "")
