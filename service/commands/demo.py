"""`mainstay demo`: the demo article and its campaign, where they are not there by default."""

import dataclasses

import click
from sqlalchemy.orm import Session

from service.commands.context import get_container, write_audit_log
from service.commands.demo_campaign import load_demo_campaign
from service.container import Container
from service.domain.campaigns import definitions
from service.domain.pledges.installation import get_demo_slug, save_demo_slug

# The demo's campaign never replaces one of the newsroom's.
FALLBACK_SLUG = "demo"


@click.group()
def demo() -> None:
    """Install or remove the demo article at /demo.

    It is made up, with the support box under it.

    In development it is always there.
    """


@demo.command("install")
def install_demo() -> None:
    """Show the demo article at /demo, and add its campaign.

    The campaign is called 'default', or 'demo' if you have a campaign 'default' already.
    """
    container = get_container()
    with container.database.transaction() as session:
        slug = get_demo_slug(session)
        if slug is None:
            slug = _add_campaign(session, container)
            save_demo_slug(session, slug)
            write_audit_log(session, container, "install_demo", {"campaign": slug})
    click.echo(f"The demo is at {container.urls.public_url}/demo, with the campaign {slug!r}.")


@demo.command("remove")
def remove_demo() -> None:
    """Take the demo article away again. Its campaign stays, with its pledges and reminders."""
    container = get_container()
    with container.database.transaction() as session:
        slug = get_demo_slug(session)
        if slug is None:
            raise click.ClickException("The demo is not installed.")
        save_demo_slug(session, None)
        write_audit_log(session, container, "remove_demo", {"campaign": slug})
    click.echo(f"The demo article is removed. Its campaign {slug!r} stays.")


def _add_campaign(session: Session, container: Container) -> str:
    """Add the demo campaign and return its slug."""
    definition = load_demo_campaign()
    for slug in (definition.slug, FALLBACK_SLUG):
        if not definitions.campaign_exists(session, slug):
            definitions.create_campaign(session, dataclasses.replace(definition, slug=slug), now=container.clock())
            return slug
    return FALLBACK_SLUG
