"""`mainstay campaign`: list, write, check, compare and apply campaign files, and close and reopen campaigns."""

import difflib
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import click
import yaml
from marshmallow import ValidationError

from schemas.campaign import DEFAULT_MAXIMUM, DEFAULT_MINIMUM, DEFAULT_PRESETS, CampaignFile
from schemas.colours import contrast, text_colour_on
from schemas.enums import Frequency, WaitingPolicy
from schemas.fields import CurrencyCode, LanguageTag, Slug
from service.commands.campaign_files import load_campaign_file
from service.commands.context import get_container, pluralise, write_audit_log
from service.commands.output_file import choose_output, open_output
from service.commands.tables import format_table
from service.container import Container
from service.domain.campaigns import definitions
from service.domain.campaigns.amounts import campaign_currencies
from service.domain.campaigns.brand import LOGOS, merge_brand, shown_size
from service.domain.campaigns.cache import wait_for_ttl
from service.domain.errors import AmountNotChargeable, CampaignNotFound, RemindersWaiting
from service.domain.money import Money, exponent, format_major_units, format_money
from service.domain.reminders import closing
from service.domain.reminders.waiting import cancel_all_waiting_reminders, require_waiting_policy
from service.pages.static_files import pinned_script, stays_after_upgrade

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
AMOUNT_KEYS = ("presets", "default", "minimum", "maximum")
NEW_FILE = """\
# A campaign of Mainstay. Check it with: mainstay campaign check FILE
# Apply it with:                         mainstay campaign apply FILE
#
# {amounts}

slug: {slug}              # its name in addresses: /support/{slug}
name: {name}              # readers see it in emails and at checkout
heading: Support our work
message: |
  Our reporting is free to read, and readers pay for it.

  If you can, chip in. It takes a minute.
lang: {lang}
currency: {currency}
frequencies:
{frequencies}
default_frequency: monthly

reminder:
  enabled: true
  choices: [1]            # months from now; [1, 3] offers two
  confirm: false          # true: readers confirm their address first

timezone: UTC             # such as Europe/Amsterdam
send_hour: 9              # reminders leave at this hour of the reader's day

origins: ["*"]            # better: the sites that may show the box, such as https://paper.example
# impact:                 # what a preset pays for, in at most 60 characters
#   monthly: {{"$7": "$7 pays for one records request"}}
# brand:                  # your own look; more in docs/branding.md
#   logo: logo.svg        # a PNG, WebP or SVG file beside this one
#   accent: "#0f5c4e"     # in quotes: YAML reads # as a comment
#   heading_font: serif   # or sans, system
#   postal_address: 1 Quay Street, Port Haven
# return_hosts: [paper.example]
# privacy_url: https://paper.example/privacy
# contact_url: https://paper.example/contact          # linked from error pages
# newsletter_url: https://paper.example/newsletter    # linked from the thank-you page
"""


class BlockTextDumper(yaml.SafeDumper):
    """Writes strings with line breaks as YAML block scalars."""


def _write_text(dumper: BlockTextDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


BlockTextDumper.add_representer(str, _write_text)


class CampaignGroup(click.Group):
    """Says how to find the campaigns there are, if one is not found."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CampaignNotFound as error:
            slug = ctx.meta.get(SLUG_KEY, "")
            raise click.ClickException(f'No campaign "{slug}". Run mainstay campaign list.') from error


SLUG_KEY = "mainstay.slug"
NOT_RELEASED = (
    "This build of the box is between two releases: after an upgrade of Mainstay, readers would see the link.\n"
    "Keep it with 'make widget-release', or use --unpinned."
)


def _remember_slug(context: click.Context, _argument: click.Parameter, slug: str) -> str:
    context.meta[SLUG_KEY] = slug
    return slug


slug_argument = click.argument("slug", default="default", callback=_remember_slug)


@click.group(cls=CampaignGroup)
def campaign() -> None:
    """List, change, close and reopen campaigns.

    A campaign has texts, amounts and reminders.

    In a campaign file, 200 is 200 minor units ($2.00), while 2.00, $2 and "2.00 USD" are major units. check and
    diff show how amounts are understood.
    """


@campaign.command("list")
def list_campaigns() -> None:
    """List campaigns: slug, whether it is open or closed, currencies, day of the last change, and name."""
    with get_container().database.read_only() as session:
        rows = [
            (
                row.slug,
                "open" if row.closed_at is None else f"closed {row.closed_at:%Y-%m-%d}",
                ", ".join(campaign_currencies(row)),
                f"{row.updated_at:%Y-%m-%d}",
                row.name,
            )
            for row in definitions.list_campaigns(session)
        ]
    if rows:
        click.echo(format_table([("slug", "state", "currencies", "changed", "name"), *rows]))
    else:
        click.echo("There are no campaigns yet; create a file with mainstay campaign new.", err=True)


def _validated(field: Any) -> Any:
    def validate(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
        try:
            text: str = field.deserialize(value)
        except ValidationError as error:
            raise click.BadParameter(" ".join(map(str, error.messages))) from error
        return text

    return validate


@campaign.command("new")
@click.argument("slug", callback=_validated(Slug()))
@click.option("--name", help="What readers know you as.  [default: from SLUG]")
@click.option("--currency", default="USD", show_default=True, callback=_validated(CurrencyCode()))
@click.option("--lang", default="en", show_default=True, callback=_validated(LanguageTag()))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    default="-",
    help="The file to write; standard output without it.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def new_campaign(slug: str, name: str | None, currency: str, lang: str, out: Path, *, force: bool) -> None:
    """Write a starter file for a campaign with the URL name SLUG. No campaign is changed."""
    out = choose_output(out, force=force, is_text=True)
    text = NEW_FILE.format(
        slug=slug,
        name=yaml.safe_dump(name or slug.replace("-", " ").title(), allow_unicode=True, width=1000)
        .removesuffix("\n")
        .removesuffix("...")
        .strip(),
        currency=currency,
        lang=yaml.safe_dump(lang).removesuffix("\n").removesuffix("...").strip(),
        amounts=_explain_amounts(currency),
        frequencies="\n".join(_starting_option(frequency, currency) for frequency in Frequency),
    )
    with open_output(out, force=force) as file:
        file.write(text.encode())


def _explain_amounts(currency: str) -> str:
    digits = exponent(currency)
    if not digits:
        return f"Amounts are in {currency}, which has no decimals."
    two = format_major_units(Money(2 * 10**digits, currency))
    minor = 2 * 10**digits
    return f"Amounts: {two} is in {currency}; a whole number is in minor units, so that {minor} means the same."


def _starting_option(frequency: Frequency, currency: str) -> str:
    # The usual presets are in cents. The same figures suit currencies without decimals, such as 500 yen.
    scale = 10 ** max(exponent(currency) - 2, 0)

    def written(amount: int) -> str:
        return format_major_units(Money(amount * scale, currency))

    presets = DEFAULT_PRESETS[frequency]
    return (
        f"  - frequency: {frequency}\n"
        f"    presets: [{', '.join(map(written, presets))}]\n"
        f"    default: {written(presets[len(presets) // 2])}\n"
        f"    minimum: {written(DEFAULT_MINIMUM)}\n"
        f"    maximum: {written(DEFAULT_MAXIMUM)}"
    )


@campaign.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
def check_campaign(files: tuple[Path, ...]) -> None:
    """Check campaign FILEs without applying them, and show how their amounts are understood.

    The database is not needed. The exit code is 1 if a FILE is not valid.
    """
    gateway = get_container(needs_database=False).gateway
    is_valid = True
    for file in files:
        try:
            loaded = load_campaign_file(file)
            definitions.validate_campaign_amounts(definitions.parse_definition(loaded), gateway)
        except (click.ClickException, AmountNotChargeable) as error:
            reason = error.format_message() if isinstance(error, click.ClickException) else f"{file}: {error}"
            click.echo(f"Error: {reason}", err=True)
            is_valid = False
            continue
        click.echo(f"{file} is valid. It offers, in the campaign {loaded['slug']!r}:")
        click.echo("\n".join(_describe_amounts(loaded)))
    if not is_valid:
        raise click.exceptions.Exit(1)


def _describe_amounts(file: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each amount that a validated file offers, as readers see it."""
    for offer in (file, *file["other_currencies"]):
        currency = offer["currency"]

        def money(amount: int, currency: str = currency) -> str:
            return _format_amount(amount, currency)

        for option in offer["frequencies"]:
            presets = ", ".join(map(money, option["presets"]))
            limits = f"from {money(option['minimum'])} to {money(option['maximum'])}"
            yield f"  {currency} {option['frequency']}: {presets}; {money(option['default'])} first; {limits}"
            for amount, line in offer["impact"].get(option["frequency"], {}).items():
                yield f"    {money(amount)}: {line}"
        if offer["cover_fees"]:
            rate, fixed = offer["cover_fees"]["basis_points"], offer["cover_fees"]["fixed"]
            yield f"  {currency} fees to cover: {rate / 100:g} % and {money(fixed)} of each payment"
    yield from describe_brand(file.get("brand") or {})


def describe_brand(brand: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each part of a brand."""
    if accent := brand.get("accent"):
        text = brand.get("on_accent") or text_colour_on(accent)
        yield f"  buttons in {accent} with text in {text}, contrast {int(contrast(accent, text) * 10) / 10}:1"
    if font := brand.get("heading_font"):
        yield f"  headings in {font}"
    for name in LOGOS:
        if image := brand.get(name):
            width, height = shown_size(image)
            yield f"  {name}: {image}, shown at {width} × {height}"
    if address := brand.get("postal_address"):
        yield f"  postal address: {', '.join(address.splitlines())}"


def _format_amount(amount: int, currency: str) -> str:
    # With a plain space, which every terminal and editor finds.
    return format_money(Money(amount, currency), "en").replace("\N{NO-BREAK SPACE}", " ")


@campaign.command("diff")
@click.argument("file", type=FILE)
def diff_campaign(file: Path) -> None:
    """Show what applying FILE would change in its campaign. Amounts are shown as readers see them."""
    loaded = load_campaign_file(file)
    container = get_container()
    definition = definitions.parse_definition(loaded)
    definitions.validate_campaign_amounts(definition, container.gateway)
    with container.database.transaction() as session:
        try:
            stored = CampaignFile().dump(
                definitions.serialize_campaign(definitions.get_campaign(session, definition.slug))
            )
        except CampaignNotFound:
            click.echo(f"There is no campaign {definition.slug!r} yet; {file} would create it and offer:")
            click.echo("\n".join(_describe_amounts(loaded)))
            return
        try:
            require_waiting_policy(session, definition, None)
            waiting = 0
        except RemindersWaiting as error:
            waiting = error.count
        loaded["brand"] = merge_brand(stored.get("brand", {}), definition.brand)
    lines = list(
        difflib.unified_diff(
            _dump(_show_amounts(stored)).splitlines(),
            _dump(_show_amounts(_without_empty_brand(CampaignFile().dump(loaded)))).splitlines(),
            f"{definition.slug} (stored)",
            str(file),
            lineterm="",
            n=2,
        )
    )
    if not lines:
        click.echo(f"No changes: the campaign {definition.slug!r} is what {file} says.", err=True)
        return
    click.echo("\n".join(lines))
    if waiting:
        click.echo(
            f"{pluralise(waiting, 'waiting reminder')} would not be offered any more; apply needs --waiting.",
            err=True,
        )


def _without_empty_brand(file: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in file.items() if name != "brand" or value}


def _show_amounts(file: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a campaign file whose amounts are written with their currency's sign."""

    def offer(part: Mapping[str, Any]) -> dict[str, Any]:
        def shown(value: Any) -> Any:
            if isinstance(value, list):
                return [shown(amount) for amount in value]
            return _format_amount(value, part["currency"])

        options = [
            {key: shown(value) if key in AMOUNT_KEYS else value for key, value in option.items()}
            for option in part["frequencies"]
        ]
        fees = part["cover_fees"]
        return {
            **part,
            "frequencies": options,
            "impact": {
                frequency: {shown(amount): line for amount, line in lines.items()}
                for frequency, lines in part["impact"].items()
            },
            "cover_fees": fees and {**fees, "fixed": shown(fees["fixed"])},
        }

    return offer(file) | {"other_currencies": [offer(other) for other in file["other_currencies"]]}


def _dump(file: Mapping[str, Any]) -> str:
    text: str = yaml.dump(file, Dumper=BlockTextDumper, allow_unicode=True, sort_keys=False, width=100)
    return text


@campaign.command("show")
@slug_argument
def show_campaign(slug: str) -> None:
    """Print a campaign as a YAML file, which you can edit and apply again."""
    with get_container().database.read_only() as session:
        stored = definitions.get_campaign(session, slug)
        file, closed_at = CampaignFile().dump(definitions.serialize_campaign(stored)), stored.closed_at
    click.echo(_dump(file), nl=False)
    if closed_at is not None:
        click.echo(f"This campaign is closed since {closed_at:%Y-%m-%d}.", err=True)


@campaign.command("snippet")
@slug_argument
@click.option("--unpinned", is_flag=True, help="Load /widget/v1.js, which is always current, without a hash.")
def show_snippet(slug: str, *, unpinned: bool) -> None:
    """Print the HTML that puts the campaign's box on a page.

    The script has a hash that browsers check, so it stays as it is until you replace the snippet. Later releases
    go on serving it.
    """
    container = get_container()
    with container.database.read_only() as session:
        stored = definitions.get_campaign(session, slug)
        url = container.urls.public_url
        script = f'<script type="module" src="{url}/widget/v1.js"></script>' if unpinned else pinned_script(url)
        link = f'<a href="{container.urls.campaign_url(stored)}">{escape(stored.heading)}</a>'
    click.echo(f'{script}\n\n<support-box campaign="{slug}">\n  {link}\n</support-box>')
    if not unpinned and not stays_after_upgrade():
        click.echo(NOT_RELEASED, err=True)


@campaign.command("apply")
@click.argument("file", type=FILE)
@click.option(
    "--waiting",
    type=click.Choice([policy.value for policy in WaitingPolicy]),
    help="What to do with waiting reminders that FILE no longer offers: keep sends each once more, "
    "cancel sends none.",
)
def apply_campaign(file: Path, waiting: str | None) -> None:
    """Create or replace a campaign from FILE. An open campaign stays open, a closed one closed."""
    loaded = load_campaign_file(file)
    definition = definitions.parse_definition(loaded)
    container = get_container()
    definitions.validate_campaign_amounts(definition, container.gateway)
    policy = None if waiting is None else WaitingPolicy(waiting)
    with container.database.transaction() as session:
        try:
            require_waiting_policy(session, definition, policy)
        except RemindersWaiting as error:
            reminders = "1 reminder waits" if error.count == 1 else f"{error.count} reminders wait"
            raise click.ClickException(
                f"{file} was not applied: {reminders} that it does not offer any more. Choose what to do: "
                "--waiting keep (each is still sent once) or --waiting cancel (none is sent)."
            ) from error
        stored = definitions.upsert_campaign(session, definition, now=container.clock())
        is_closed = stored.closed_at is not None
        kept = [name for name in LOGOS if name in stored.brand and name not in (definition.brand or {})]
        details = {"campaign": definition.slug} | ({"waiting": waiting} if waiting else {})
        write_audit_log(session, container, "apply_campaign", details)
    wait_for_ttl()
    if policy == WaitingPolicy.CANCEL:
        cancelled = cancel_all_waiting_reminders(
            container.database.transaction, definition.slug, now=container.clock()
        )
        click.echo(f"Reminders cancelled: {cancelled}.", err=True)
    click.echo(f"Applied the campaign {definition.slug!r}. It offers:", err=True)
    click.echo("\n".join(_describe_amounts(loaded)), err=True)
    for name in kept:
        click.echo(f"It keeps its {name}, which {file} does not name; {name}: null removes it.", err=True)
    if is_closed:
        click.echo(f"It stays closed; mainstay campaign reopen {definition.slug} opens it.", err=True)


@campaign.command("close")
@slug_argument
@click.option(
    "--waiting",
    type=click.Choice([policy.value for policy in WaitingPolicy]),
    help="What to do with waiting reminders: keep holds them until the campaign is reopened, cancel cancels them.",
)
def close_campaign(slug: str, waiting: str | None) -> None:
    """Close the campaign SLUG, so that it takes no donations.

    Its box and page say that it isn't taking donations right now.

    Monthly and annual donations go on and are charged as before, because only their readers can end them. No
    reminder is sent while the campaign is closed. The words are the texts campaign_closed_heading and
    campaign_closed_message, which the campaign file can replace.
    """
    container = get_container()
    try:
        closed = closing.close_campaign(
            container.database.transaction,
            slug,
            None if waiting is None else WaitingPolicy(waiting),
            now=container.clock(),
        )
    except RemindersWaiting as error:
        raise click.ClickException(
            f"{slug} was not closed: {_reminders(error.count, 'waits', 'wait')}. Choose what to do: "
            "--waiting keep (they wait until it is reopened) or --waiting cancel (none is sent)."
        ) from error
    _record_and_wait(container, "close_campaign", slug, {"waiting": waiting})
    click.echo(f"Closed the campaign {slug!r}. Browsers may show its box for some minutes more.", err=True)
    if closed.cancelled:
        click.echo(f"Reminders cancelled: {closed.cancelled}.", err=True)
    if closed.waiting:
        click.echo(f"{_reminders(closed.waiting, 'waits', 'wait')} until it is reopened.", err=True)
    if closed.running:
        goes = "donation goes" if closed.running == 1 else "donations go"
        click.echo(f"{closed.running:,} recurring {goes} on; readers end theirs at /me.", err=True)


@campaign.command("reopen")
@slug_argument
@click.option(
    "--late",
    type=click.Choice(["send", "skip"]),
    help="What to do with reminders that came due in the meantime: send sends them now, skip does not; repeating "
    "ones then come on their next date.",
)
def reopen_campaign(slug: str, late: str | None) -> None:
    """Reopen the campaign SLUG, so that its box and page take donations again."""
    container = get_container()
    try:
        count = closing.reopen_campaign(
            container.database.transaction,
            slug,
            send_late=None if late is None else late == "send",
            now=container.clock(),
        )
    except RemindersWaiting as error:
        raise click.ClickException(
            f"{slug} was not reopened: {_reminders(error.count, 'came due', 'came due')} while it was closed. "
            "Choose what to do with them: --late send (they are sent now) or --late skip (they are not)."
        ) from error
    _record_and_wait(container, "reopen_campaign", slug, {"late": late})
    click.echo(f"Reopened the campaign {slug!r}.", err=True)
    if count:
        done = "being sent by the workers" if late == "send" else "skipped"
        click.echo(f"Reminders {done}: {count:,}.", err=True)


def _record_and_wait(container: Container, action: str, slug: str, choice: dict[str, str | None]) -> None:
    """Record what was done in the audit log, and wait until no web process has the campaign of before."""
    details = {"campaign": slug} | {name: value for name, value in choice.items() if value}
    with container.database.transaction() as session:
        write_audit_log(session, container, action, details)
    wait_for_ttl()


def _reminders(count: int, one: str, many: str) -> str:
    return f"{pluralise(count, 'reminder')} {one if count == 1 else many}"
