"""What a schema says of a wrong request, as one flat table."""

from typing import Any

from marshmallow import Schema, fields

# What marshmallow puts on the way to a field that the sender did not write.
MARSHMALLOW_PATH_PARTS = ("_schema", "value")


def flatten_errors(messages: Any) -> dict[str, list[str]]:
    """Return marshmallow's nested messages as field → list, with dots: `frequencies.0.minimum`."""
    # webargs puts the place (json, query) first; the client knows where it sent what.
    found: dict[str, list[str]] = {}

    def walk(node: Any, path: tuple[str, ...]) -> None:
        if isinstance(node, dict):
            for name, child in node.items():
                walk(child, (*path, str(name)))
        else:
            found[".".join(part for part in path if part not in MARSHMALLOW_PATH_PARTS) or "body"] = [
                str(line) for line in node
            ]

    for part in messages.values() if isinstance(messages, dict) else ():
        walk(part, ())
    return found


class ProblemSchema(Schema):
    """What went wrong, for programs (`code`) and for people (`detail`)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "Stable, snake_case."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "With 422: each field at fault, and what is wrong with it."},
    )
