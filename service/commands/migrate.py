"""`mainstay migrate`: the database brought up to date."""

from pathlib import Path

import click
from sqlalchemy.exc import IntegrityError

from service.commands.campaigns import load_campaign_file
from service.commands.context import get_container
from service.container import Container
from service.db.migration import migrate as apply_migrations
from service.db.session import constraint_name
from service.domain.campaigns import definitions as campaigns

DEMO_CAMPAIGN = Path(__file__).parents[1] / "demo_campaign.yaml"


@click.command()
def migrate() -> None:
    """Bring the database up to date; an empty one gets a demo campaign."""
    migrate_and_seed(get_container())
    click.echo("The database is up to date.")


def migrate_and_seed(container: Container) -> None:
    """Apply what migrations are missing, and seed the demo campaign where there is no campaign at all."""
    apply_migrations(container.database.engine)
    if seed_demo_campaign(container):
        click.echo("Added the demo campaign 'default'.")


def seed_demo_campaign(container: Container) -> bool:
    """Add the demo campaign where there is no campaign at all; return whether it was added."""
    try:
        with container.database.transaction() as session:
            if campaigns.has_campaigns(session):
                return False
            terms = campaigns.parse_definition(load_campaign_file(DEMO_CAMPAIGN))
            # Never over a campaign that another release process, or the newsroom, has added since the look.
            campaigns.create_campaign(session, terms, now=container.clock())
    except IntegrityError as error:
        if constraint_name(error) != "uq_campaigns_slug":
            raise
        return False
    return True
