"""`mainstay migrate`: database migrations and the demo campaign."""

from pathlib import Path

import click
from sqlalchemy.exc import IntegrityError

from service.commands.campaign_files import load_campaign_file
from service.commands.context import get_container, pluralise
from service.container import Container
from service.db.migration import migrate as apply_migrations
from service.db.session import constraint_name
from service.domain.campaigns import definitions
from service.domain.privacy.key_canary import WRONG_KEYS
from service.domain.privacy.key_rotation import fold_supporters, hash_events

DEMO_CAMPAIGN = Path(__file__).parents[1] / "demo_campaign.yaml"


@click.command()
def migrate() -> None:
    """Bring the database up to date; in development, add a demo campaign if there are no campaigns.

    MIGRATION_DATABASE_URL leads to the database without a pooler such as PgBouncer, if DATABASE_URL has one.
    """
    migrate_and_seed(get_container(for_migration=True))
    click.echo("The database is up to date.")


def migrate_and_seed(container: Container) -> None:
    """Apply the missing migrations, fold the addresses, and add what `migrate` does."""
    apply_migrations(container.database.engine)
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


def seed_demo_campaign(container: Container) -> bool:
    """Add the demo campaign if there are no campaigns; return whether it was added."""
    try:
        with container.database.transaction() as session:
            if definitions.has_campaigns(session):
                return False
            definition = definitions.parse_definition(load_campaign_file(DEMO_CAMPAIGN))
            # An insert and not an upsert: another process may have added a campaign since the check.
            definitions.create_campaign(session, definition, now=container.clock())
    except IntegrityError as error:
        if constraint_name(error) != "uq_campaigns_slug":
            raise
        return False
    return True
