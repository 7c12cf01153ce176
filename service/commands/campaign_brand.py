"""`mainstay campaign brand`: upload or remove a campaign's logo, and show its look."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from service.commands.campaigns import describe_brand, slug_argument
from service.commands.context import get_container, write_audit_log
from service.commands.logo_files import MAX_LOGO_BYTES, STANDARD_INPUT, LogoRefused, prepare_logo, read_logo
from service.container import Container
from service.domain.campaigns import definitions
from service.domain.campaigns.brand import NewImage, email_image_name, store_images
from service.domain.campaigns.cache import wait_for_ttl

IMAGE_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@click.command("brand")
@slug_argument
@click.option("--logo", type=IMAGE_FILE, help="The logo to show; - reads it from standard input.")
@click.option("--logo-dark", type=IMAGE_FILE, help="The logo in dark mode; by default the same on a light ground.")
@click.option("--remove-logo", is_flag=True, help="Show the paper's name again.")
@click.option("--remove-logo-dark", is_flag=True, help="Show the same logo in dark mode.")
def brand(
    slug: str, logo: Path | None, logo_dark: Path | None, *, remove_logo: bool, remove_logo_dark: bool
) -> None:
    """Show the look of the campaign SLUG, or change its logo.

    A logo is a PNG, WebP or SVG file of at most 200 KB. It is checked by its content and stored in the database.
    Of an SVG file only what draws is kept; what was removed is printed. Colours, heading font and postal address
    are keys of the campaign file, under brand; applying a file that does not name the logo keeps it.
    """
    if STANDARD_INPUT == logo == logo_dark:
        raise click.UsageError("Only one of the images can come from standard input.")
    container = get_container()
    changes = dict(_changes("logo", logo, remove=remove_logo))
    changes |= dict(_changes("logo_dark", logo_dark, remove=remove_logo_dark))
    images = [image for image in changes.values() if image is not None]
    with container.database.transaction() as session:
        campaign = definitions.get_campaign(session, slug, for_update=bool(changes))
        if changes:
            names = {name: None if image is None else image.name for name, image in changes.items()}
            store_images(session, images, now=container.clock())
            look = {name: value for name, value in (campaign.brand | names).items() if value is not None}
            campaign.brand, campaign.updated_at = look, container.clock()
            write_audit_log(session, container, "change_brand", {"campaign": slug} | names)
        look = campaign.brand
    if changes:
        wait_for_ttl()
    _print_look(container, slug, look, images)


def _changes(name: str, file: Path | None, *, remove: bool) -> Iterator[tuple[str, NewImage | None]]:
    """Yield what an option changes: an image, or None if it is removed."""
    option = f"--{name.replace('_', '-')}"
    if remove and file is not None:
        raise click.UsageError(f"Give {option} or --remove-{option.removeprefix('--')}, not both.")
    if remove:
        yield name, None
    if file is None:
        return
    try:
        prepared = prepare_logo(read_logo(file))
    except LogoRefused as error:
        source = "standard input" if file == STANDARD_INPUT else str(file)
        raise click.ClickException(f"{source} was not stored. {error}") from error
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}.") from error
    for remark in prepared.remarks:
        click.echo(remark, err=True)
    yield name, prepared.image


def _print_look(container: Container, slug: str, look: dict[str, Any], stored: list[NewImage]) -> None:
    for image in stored:
        click.echo(f"Stored {image.name}, {len(image.content):,} bytes:")
        click.echo(f"  {container.urls.image_url(image.name)}")
        click.echo(f"  {container.urls.image_url(email_image_name(image.name))} (for emails)")
    if look:
        click.echo(f"The campaign {slug!r} has:")
        click.echo("\n".join(describe_brand(look)))
    else:
        click.echo(
            f"The campaign {slug!r} has the look of Mainstay. Give it a logo with --logo FILE, at most "
            f"{MAX_LOGO_BYTES // 1024} KB, and colours under brand in its campaign file."
        )
