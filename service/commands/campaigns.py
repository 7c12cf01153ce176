"""`mainstay campaign`: print and apply campaign files."""

from pathlib import Path
from typing import Any

import click
import yaml
from marshmallow import ValidationError

from schemas.campaign import CampaignFile
from schemas.enums import WaitingPolicy
from schemas.errors import flatten_errors
from schemas.web_origins import parse_host, parse_origin
from service.commands.context import get_container, write_audit_log
from service.domain.campaigns import definitions
from service.domain.campaigns.cache import wait_for_ttl
from service.domain.errors import RemindersWaiting
from service.domain.reminders.waiting import cancel_all_waiting_reminders, require_waiting_policy


class BlockTextDumper(yaml.SafeDumper):
    """Writes strings with line breaks as YAML block scalars."""


def _write_text(dumper: BlockTextDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


BlockTextDumper.add_representer(str, _write_text)


@click.group()
def campaign() -> None:
    """Show and change campaigns: their texts, amounts and reminders."""


@campaign.command("show")
@click.argument("slug", default="default")
def show_campaign(slug: str) -> None:
    """Print a campaign as a YAML file, which you can edit and apply again."""
    with get_container().database.read_only() as session:
        file = CampaignFile().dump(definitions.serialize_campaign(definitions.get_campaign(session, slug)))
    click.echo(yaml.dump(file, Dumper=BlockTextDumper, allow_unicode=True, sort_keys=False, width=100), nl=False)


@campaign.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--waiting",
    type=click.Choice([policy.value for policy in WaitingPolicy]),
    help="What becomes of reminders that wait, if FILE does not offer them any more: keep sends each once more, "
    "cancel sends none.",
)
def apply_campaign(file: Path, waiting: str | None) -> None:
    """Create or replace a campaign with the contents of FILE."""
    definition = definitions.parse_definition(load_campaign_file(file))
    container = get_container()
    definitions.validate_campaign_amounts(definition, container.gateway)
    policy = None if waiting is None else WaitingPolicy(waiting)
    with container.database.transaction() as session:
        try:
            require_waiting_policy(session, definition, policy)
        except RemindersWaiting as error:
            reminders = "1 reminder waits" if error.count == 1 else f"{error.count} reminders wait"
            raise click.ClickException(
                f"{file} was not applied: {reminders} that it does not offer any more. Say what becomes of them: "
                "--waiting keep (each is still sent once) or --waiting cancel (none is sent)."
            ) from error
        definitions.upsert_campaign(session, definition, now=container.clock())
        details = {"campaign": definition.slug} | ({"waiting": waiting} if waiting else {})
        write_audit_log(session, container, "apply_campaign", details)
    wait_for_ttl()
    if policy == WaitingPolicy.CANCEL:
        cancelled = cancel_all_waiting_reminders(
            container.database.transaction, definition.slug, now=container.clock()
        )
        click.echo(f"Reminders cancelled: {cancelled}.", err=True)
    click.echo(f"Applied the campaign {definition.slug!r}.", err=True)


def load_campaign_file(file: Path) -> dict[str, Any]:
    """Read and validate a campaign file.

    Raises:
        click.ClickException: it is not YAML or not a campaign; the message lists every error with its field.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file} is not readable as YAML: {error}") from error
    if not isinstance(content, dict):
        raise click.ClickException(f"{file} holds no campaign; give keys such as slug, name, heading and message.")
    try:
        loaded: dict[str, Any] = CampaignFile().load(content)
    except ValidationError as error:
        errors = flatten_errors({"file": error.messages})
        lines = "\n".join(f"  {field}: {' '.join(messages)}" for field, messages in sorted(errors.items()))
        raise click.ClickException(f"{file} was not applied:\n{lines}") from error
    _report_understood(content)
    return loaded


def _report_understood(content: dict[str, Any]) -> None:
    """Say how browsers write the origins and hosts of a valid file, where it writes them otherwise."""
    for name, parse in (("origins", parse_origin), ("return_hosts", parse_host)):
        for written in content.get(name, ()):
            if (understood := parse(written)) != written:
                click.echo(f"{name}: {written} was understood as {understood}.", err=True)
