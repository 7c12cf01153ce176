"""Errors on the wire: RFC 9457."""

from marshmallow import Schema, fields


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
