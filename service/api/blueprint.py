"""The blueprint and API classes that all resources share: strict JSON parsing and documented errors."""

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
MAX_SHOWN_NAME_LENGTH = 40


class DuplicateName(ValueError):
    """An object of a JSON body has a name twice, so that programs read it differently (RFC 8259, section 4)."""


class StrictJsonParser(FlaskParser):
    """Parses only JSON bodies, and rejects unknown names in bodies and queries."""

    # If a misspelt filter were ignored, the response would contain everything.
    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": None}

    def load_json(self, req: flask.Request, schema: Schema) -> Any:
        """Return the parsed body, or `missing` for an empty body if no field is required.

        Raises:
            ProblemException: 415 if the content type is not JSON, 400 if the body is not.
        """
        body = req.get_data(cache=True)
        if not body:
            if any(field.required for field in schema.fields.values()):
                raise ProblemException(400, "invalid_json", "The body is empty; send a JSON object.")
            return core.missing
        if not is_json_request(req):
            raise ProblemException(415, *HTTP_PROBLEMS[415])
        try:
            return json.loads(
                body.decode("utf-8"),
                parse_int=_parse_int,
                parse_constant=_reject_nan,
                object_pairs_hook=_reject_duplicate_names,
            )
        except DuplicateName as error:
            raise ProblemException(400, "invalid_json", f"The body names {error} twice.") from error
        except (ValueError, RecursionError) as error:
            raise ProblemException(400, "invalid_json", "The body is not readable as JSON.") from error

    def load_querystring(self, req: flask.Request, schema: Schema) -> Any:
        """Return the query without empty values: an empty form field means no filter."""
        values = MultiDict((name, value) for name, value in req.args.items(multi=True) if value)
        return self._makeproxy(values, schema)


class ResourceBlueprint(Blueprint):  # type: ignore[misc]  # flask-smorest ships no types
    """A blueprint for one resource of the API."""

    ARGUMENTS_PARSER = StrictJsonParser()

    def arguments(self, schema: type[Schema], **options: Any) -> Any:
        """Parse the request with a schema, which is instantiated once and not for each request."""
        return super().arguments(schema(), **options)


class ProblemApi(Api):  # type: ignore[misc]  # flask-smorest ships no types
    """The API and its OpenAPI document, in which every error is a problem (RFC 9457)."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_RESPONSE_CONTENT_TYPE: str

    def _register_responses(self) -> None:
        # Only error responses are registered here; successful ones are registered later, as plain JSON.
        self.DEFAULT_RESPONSE_CONTENT_TYPE = "application/problem+json"
        super()._register_responses()
        self.DEFAULT_RESPONSE_CONTENT_TYPE = "application/json"


def require_idempotency_key() -> str:
    """Return the request's Idempotency-Key.

    Raises:
        ProblemException: it is missing, or not 8 to 255 visible ASCII characters.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        raise ProblemException(
            400,
            "idempotency_key_required",
            "Send an Idempotency-Key header with a new random value for each pledge, such as a UUID.",
        )
    if not 8 <= len(key) <= 255 or not all("!" <= character <= "~" for character in key):
        raise ProblemException(
            400, "idempotency_key_invalid", "The Idempotency-Key must be 8 to 255 visible ASCII characters."
        )
    return key


def _parse_int(digits: str) -> float | int:
    # Python raises an error for integers of over 4,300 digits; every field rejects infinity with its own message.
    return int(digits) if len(digits) <= MAX_NUMBER_DIGITS else math.inf


def _reject_duplicate_names(members: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(members)
    if len(unique) < len(members):
        names = [name for name, _ in members]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise DuplicateName(json.dumps(duplicate[:MAX_SHOWN_NAME_LENGTH]))
    return unique


def _reject_nan(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is JavaScript, not JSON (RFC 8259, section 6)")
