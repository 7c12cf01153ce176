"""The problem schema (RFC 9457), and validation errors as one flat table."""

from typing import Any

from marshmallow import Schema, fields

# Keys that marshmallow adds to the path of a field.
MARSHMALLOW_PATH_PARTS = ("_schema", "value")


def flatten_errors(messages: Any) -> dict[str, list[str]]:
    """Return marshmallow's nested messages as field → list, with dots: `frequencies.0.minimum`."""
    # The first level is webargs' location (json, query), which clients do not need.
    flat: dict[str, list[str]] = {}

    def walk(node: Any, path: tuple[str, ...]) -> None:
        if isinstance(node, dict):
            for name, child in node.items():
                walk(child, (*path, str(name)))
        else:
            flat[".".join(part for part in path if part not in MARSHMALLOW_PATH_PARTS) or "body"] = [
                str(message) for message in node
            ]

    for location_messages in messages.values() if isinstance(messages, dict) else ():
        walk(location_messages, ())
    return flat


class ProblemSchema(Schema):
    """An error, for programs (`code`) and for people (`detail`)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "A stable code in snake_case."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "With status 422: the error messages of each invalid field."},
    )
