"""`mainstay migrate`: database migrations and the demo campaign."""

import click
from sqlalchemy.exc import IntegrityError

from service.commands.context import get_container, pluralise
from service.commands.demo_campaign import load_demo_campaign
from service.container import Container
from service.db.migration import MigrationError, explained_errors
from service.db.migration import migrate as apply_migrations
from service.db.schema import Schema, SchemaStatus
from service.db.session import constraint_name
from service.domain.campaigns import definitions
from service.domain.privacy.key_canary import WRONG_KEYS
from service.domain.privacy.key_rotation import fold_supporters, hash_events


@click.command()
@click.option(
    "--into-existing", is_flag=True, help="Add Mainstay's tables to a database that holds tables of others."
)
def migrate(into_existing: bool) -> None:
    """Bring the database up to date.

    In development, a demo campaign is added if there are no campaigns.

    MIGRATION_DATABASE_URL leads to the database without a pooler such as PgBouncer, if DATABASE_URL has one.

    It either succeeds or changes nothing, and may be repeated. A database that a newer release migrated stays as
    it is; if this release cannot run on it, the exit code is 1. One with tables of others is refused.
    """
    container = get_container(for_migration=True)
    try:
        with explained_errors():
            found = migrate_and_seed(container, into_existing=into_existing)
    except MigrationError as error:
        raise click.ClickException(str(error)) from error
    if found.status == SchemaStatus.NEWER:
        click.echo("A newer release of Mainstay migrated the database, and this one can run on it; nothing to do.")
    else:
        click.echo("The database is up to date.")


def migrate_and_seed(container: Container, *, into_existing: bool = False) -> Schema:
    """Apply the missing migrations, fold the addresses, and add what `migrate` does; return what was found.

    Raises:
        MigrationError: nothing was migrated.
    """
    found = apply_migrations(container.database.engine, into_existing=into_existing)
    if found.status == SchemaStatus.NEWER:
        return found
    folded = fold_supporters(container.database.transaction, clock=container.clock)
    hash_events(container.database.transaction)
    if not container.key_check.passes():
        click.echo(WRONG_KEYS, err=True)
    if folded.merged:
        click.echo(f"Merged {pluralise(folded.merged, 'supporter')} whose addresses differed only in case.")
    if container.settings.is_production:
        with container.database.read_only() as session:
            if not definitions.has_campaigns(session):
                click.echo("There is no campaign yet: add yours with mainstay campaign apply FILE.yaml.")
    elif seed_demo_campaign(container):
        click.echo("Added the demo campaign 'default'.")
    return found


def seed_demo_campaign(container: Container) -> bool:
    """Add the demo campaign if there are no campaigns; return whether it was added."""
    try:
        with container.database.transaction() as session:
            if definitions.has_campaigns(session):
                return False
            definition = load_demo_campaign()
            # An insert and not an upsert: another process may have added a campaign since the check.
            definitions.create_campaign(session, definition, now=container.clock())
    except IntegrityError as error:
        if constraint_name(error) != "uq_campaigns_slug":
            raise
        return False
    return True
