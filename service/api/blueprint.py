"""The kind of blueprint that all resources share: JSON that is read strictly, and errors that are described."""

import json
import math
from typing import Any, NoReturn

import flask
from flask import request
from flask_smorest import Api, Blueprint
from marshmallow import Schema
from webargs import core
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.datastructures import MultiDict

from schemas.errors import ProblemSchema
from service.api.problems import HTTP_PROBLEMS, ProblemException

MAX_NUMBER_DIGITS = 100


def _parse_int(digits: str) -> float | int:
    # Python itself refuses to read integers of over 4,300 digits; infinity is refused by every field instead.
    return int(digits) if len(digits) <= MAX_NUMBER_DIGITS else math.inf


def _reject_nan(word: str) -> NoReturn:
    raise ValueError(f"{word} is JavaScript, not JSON (RFC 8259, section 6)")


class StrictJsonParser(FlaskParser):
    """Reads bodies as JSON and nothing else, and refuses every name that is not described, in queries as well."""

    # A misspelt filter that was passed over would answer with everything.
    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": None}

    def load_json(self, req: flask.Request, schema: Schema) -> Any:
        """Return the body as JSON, or `missing` for an empty one where every field may be left out.

        Raises:
            Refusal: 415 for a body that does not say it is JSON, 400 for one that is not.
        """
        body = req.get_data(cache=True)
        if not body:
            if any(field.required for field in schema.fields.values()):
                raise ProblemException(400, "invalid_json", "The body is empty; send a JSON object.")
            return core.missing
        if not is_json_request(req):
            raise ProblemException(415, *HTTP_PROBLEMS[415])
        try:
            return json.loads(body.decode("utf-8"), parse_int=_parse_int, parse_constant=_reject_nan)
        except (ValueError, RecursionError) as error:
            raise ProblemException(400, "invalid_json", "The body is not readable as JSON.") from error

    def load_querystring(self, req: flask.Request, schema: Schema) -> Any:
        """Return the query; a name with nothing after it counts as left out, as an empty form field means."""
        given = MultiDict((name, value) for name, value in req.args.items(multi=True) if value)
        return self._makeproxy(given, schema)


class ResourceBlueprint(Blueprint):  # type: ignore[misc]  # flask-smorest ships no types
    """One resource of the API."""

    ARGUMENTS_PARSER = StrictJsonParser()

    def arguments(self, schema: type[Schema], **options: Any) -> Any:
        """Read the request by a schema, which is made once here and not again for each request."""
        return super().arguments(schema(), **options)


class ProblemApi(Api):  # type: ignore[misc]  # flask-smorest ships no types
    """The API with its description, in which every error is a problem."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_RESPONSE_CONTENT_TYPE: str

    def _register_responses(self) -> None:
        # All the responses that are registered here are errors; documented successes come after, as plain JSON.
        self.DEFAULT_RESPONSE_CONTENT_TYPE = "application/problem+json"
        super()._register_responses()
        self.DEFAULT_RESPONSE_CONTENT_TYPE = "application/json"


def require_idempotency_key() -> str:
    """Return the request's Idempotency-Key.

    Raises:
        Refusal: it is absent, or not 8 to 255 visible ASCII characters.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        raise ProblemException(
            400,
            "idempotency_key_required",
            "Send an Idempotency-Key header with a new random value for each pledge, such as a UUID.",
        )
    if not 8 <= len(key) <= 255 or not all("!" <= sign <= "~" for sign in key):
        raise ProblemException(
            400, "idempotency_key_invalid", "The Idempotency-Key must be 8 to 255 visible ASCII characters."
        )
    return key
