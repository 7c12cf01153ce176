"""Reading campaign files: YAML without its traps, amounts as people write them, and errors with their line."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
import yaml
from marshmallow import ValidationError

from schemas.brand import IMAGE_NAME_PATTERN
from schemas.campaign import CampaignFile
from schemas.errors import MARSHMALLOW_PATH_PARTS
from schemas.web_origins import parse_host, parse_origin
from service.commands.logo_files import LogoRefused, prepare_logo, read_logo
from service.domain.campaigns.brand import LOGOS, NewImage
from service.domain.errors import UnparsableAmount
from service.domain.money import is_currency
from service.domain.money_input import parse_written_amount

ErrorPath = tuple[str | int, ...]

PLAIN_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
NAMING_KEYS: Final = ("frequency", "currency")
NOT_TEXT: Final = "Not a valid string."


class WrittenFloat(float):
    """A number with a decimal point, and how it is written in the file."""

    text: str


class CampaignLoader(yaml.SafeLoader):
    """Loads YAML, and refuses what YAML would read as something else than it looks like."""


def _construct_int(loader: CampaignLoader, node: yaml.ScalarNode) -> int:
    number: int = loader.construct_yaml_int(node)
    if not PLAIN_INTEGER.fullmatch(node.value):
        problem = f"YAML reads {node.value} as {number}; write {number}, or put {node.value} in quotes"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return number


def _construct_float(loader: CampaignLoader, node: yaml.ScalarNode) -> WrittenFloat:
    number = WrittenFloat(loader.construct_yaml_float(node))
    number.text = node.value
    return number


def _construct_mapping(loader: CampaignLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            if key.value in lines:
                problem = f"{key.value!r} is given twice, on line {lines[key.value]} too"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            lines[key.value] = key.start_mark.line + 1
    mapping: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return mapping


CampaignLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)
CampaignLoader.add_constructor("tag:yaml.org,2002:float", _construct_float)
CampaignLoader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def load_campaign_file(file: Path) -> dict[str, Any]:
    """Read and validate a campaign file. `images` of the result are those that it names by their path.

    Raises:
        click.ClickException: it is not YAML or not a campaign; the message lists every error with its line.
    """
    content, root = _read_yaml(file)
    if not isinstance(content, dict) or root is None:
        raise click.ClickException(f"{file} holds no campaign; give keys such as slug, name, heading and message.")
    content = _unshare(content)
    images: list[NewImage] = []
    errors = dict(_convert_amounts(content)) | dict(_read_logos(content, file.parent, images))
    try:
        loaded: dict[str, Any] = CampaignFile().load(content)
    except ValidationError as error:
        # An amount that could not be read has a better message already.
        errors = dict(_flatten(error.messages)) | errors
    if errors:
        described = sorted(_describe(root, path, message) for path, message in errors.items())
        lines = "\n".join(f"  line {line}: {text}" for line, text in described)
        raise click.ClickException(f"{file} is not a valid campaign file:\n{lines}")
    _report_understood(content)
    return loaded | {"images": tuple(images)}


def _report_understood(content: dict[str, Any]) -> None:
    """Say how browsers write the origins and hosts of a valid file, where it writes them otherwise."""
    for name, parse in (("origins", parse_origin), ("return_hosts", parse_host)):
        for written in content.get(name, ()):
            if (understood := parse(written)) != written:
                click.echo(f"{name}: {written} was understood as {understood}.", err=True)


def _read_yaml(file: Path) -> tuple[Any, yaml.Node | None]:
    try:
        loader = CampaignLoader(file.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        return None if root is None else loader.construct_document(root), root
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}:" if error.problem_mark else ""
        raise click.ClickException(f"{file} is not readable as YAML:{line} {error.problem}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        # A number or date that YAML recognises may be impossible, such as 2026-02-30.
        raise click.ClickException(f"{file} is not readable as YAML: {error}") from error
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}.") from error


def _unshare(value: Any) -> Any:
    """Return a copy in which an alias is an object of its own: it may be an amount in another currency."""
    if isinstance(value, dict):
        return {key: _unshare(child) for key, child in value.items()}
    return [_unshare(child) for child in value] if isinstance(value, list) else value


def _convert_amounts(content: dict[str, Any]) -> Iterator[tuple[ErrorPath, str]]:
    """Replace amounts in major units by minor units; yield the path and the error of each that cannot be read."""
    lang = content.get("lang")
    others = content.get("other_currencies")
    offers: list[tuple[ErrorPath, Any]] = [((), content)]
    if isinstance(others, list):
        offers += [(("other_currencies", index), other) for index, other in enumerate(others)]
    for path, offer in offers:
        if not isinstance(offer, dict):
            continue
        currency = offer.get("currency", "USD")
        if not isinstance(currency, str) or not is_currency(currency):
            continue
        for impact_path, message in _convert_impact(offer, currency, lang if isinstance(lang, str) else "en"):
            yield (*path, *impact_path), message
        for amount_path, holder, key in _amounts(offer):
            try:
                holder[key] = _amount(holder[key], currency, lang if isinstance(lang, str) else "en")
            except UnparsableAmount as error:
                yield (*path, *amount_path), error.detail


def _convert_impact(offer: dict[str, Any], currency: str, lang: str) -> Iterator[tuple[ErrorPath, str]]:
    """Replace the amounts of `impact` by minor units; yield the path and the error of each unreadable one."""
    impact = offer.get("impact")
    if not isinstance(impact, dict):
        return
    for frequency, lines in impact.items():
        if not isinstance(lines, dict):
            continue
        amounts: dict[Any, Any] = {}
        for written, line in lines.items():
            try:
                amount = _amount(written, currency, lang)
            except UnparsableAmount as error:
                yield ("impact", frequency, written), error.detail
                continue
            if amount in amounts:
                yield ("impact", frequency, written), "This amount has a line already."
            amounts[amount] = line
        impact[frequency] = amounts


def _amount(value: Any, currency: str, lang: str) -> Any:
    if isinstance(value, WrittenFloat):
        return parse_written_amount(value.text, currency=currency, lang=lang)
    return parse_written_amount(value, currency=currency, lang=lang) if isinstance(value, str) else value


def _amounts(offer: dict[str, Any]) -> Iterator[tuple[ErrorPath, Any, Any]]:
    """Yield the path of each amount, and the container and key that hold it."""
    options = offer.get("frequencies")
    for index, option in enumerate(options if isinstance(options, list) else ()):
        if not isinstance(option, dict):
            continue
        for key in ("default", "minimum", "maximum"):
            if key in option:
                yield ("frequencies", index, key), option, key
        presets = option.get("presets")
        for position in range(len(presets) if isinstance(presets, list) else 0):
            yield ("frequencies", index, "presets", position), presets, position
    fees = offer.get("cover_fees")
    if isinstance(fees, dict) and "fixed" in fees:
        yield ("cover_fees", "fixed"), fees, "fixed"


def _read_logos(content: dict[str, Any], folder: Path, images: list[NewImage]) -> Iterator[tuple[ErrorPath, str]]:
    """Replace the path of a logo by the name of its image; yield the error of each that cannot be used."""
    brand = content.get("brand")
    if not isinstance(brand, dict):
        return
    for key in LOGOS:
        path = brand.get(key)
        if not isinstance(path, str) or re.fullmatch(IMAGE_NAME_PATTERN, path):
            continue
        try:
            logo = prepare_logo(read_logo(folder / path))
        except LogoRefused as error:
            yield ("brand", key), str(error)
        except (OSError, ValueError):
            yield ("brand", key), f"There is no file {path} beside the campaign file, and no image of this name."
        else:
            for remark in logo.remarks:
                click.echo(f"{path}: {remark}", err=True)
            images.append(logo.image)
            brand[key] = logo.image.name


def _flatten(messages: Any, path: ErrorPath = ()) -> Iterator[tuple[ErrorPath, str]]:
    if isinstance(messages, Mapping):
        for name, child in messages.items():
            yield from _flatten(child, path if name in MARSHMALLOW_PATH_PARTS else (*path, name))
    else:
        yield path, " ".join(map(str, messages))


def _describe(root: yaml.Node, path: ErrorPath, message: str) -> tuple[int, str]:
    """Return the line of an error, and its text: `frequencies: once: minimum: …`."""
    node, line, names = root, root.start_mark.line + 1, []
    for part in path:
        found = _child(node, part)
        name = str(part)
        if found is None:
            # A key that is missing is reported where its mapping begins.
            names.append(name)
            break
        if isinstance(part, int):
            name = _naming_value(found[1]) or f"entry {part + 1}"
        names.append(name)
        line, node = found[0], found[1]
    if message == NOT_TEXT and isinstance(node, yaml.ScalarNode):
        message = f'Put it in quotes, because YAML does not read it as text: "{node.value}".'
    return line, ": ".join([*names, message])


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    if isinstance(node, yaml.MappingNode):
        # A key that is merged in by `<<` comes before the one that replaces it.
        for key, value in reversed(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return key.start_mark.line + 1, value
    return None


def _naming_value(node: yaml.Node) -> str | None:
    """Return what tells an entry of a list from the others, such as its frequency."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value in NAMING_KEYS and isinstance(value, yaml.ScalarNode):
                return str(value.value)
    return None
