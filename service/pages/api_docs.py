"""The API reference at `/docs`: an outline of the OpenAPI document with an example of each operation."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app
from markupsafe import Markup, escape

from service.domain.errors import DomainError
from service.pages.api_examples import ExampleBuilder, curl_example, problem_example, status_line, to_json
from service.pages.rendering import render_page
from service.pages.translations import english_texts
from service.web import current_container

EXTENSION = "mainstay_api"
METHODS = ("get", "post", "put", "delete")
MAX_LISTED_VALUES = 20
# The error that an example shows, by the path parameter that names what is not found.
NOT_FOUND_CODES: Mapping[str, str] = {
    "slug": "campaign_not_found",
    "pledge_id": "pledge_not_found",
    "token": "reminder_not_found",
    "reminder_id": "reminder_not_found",
    "payment_id": "payment_not_found",
    "refund_id": "refund_not_found",
    "supporter_id": "supporter_not_found",
    "event_id": "event_not_found",
}

Node = Mapping[str, Any]

docs = Blueprint("docs", __name__)


@dataclass(frozen=True, kw_only=True)
class ApiMetadata:
    """What the pages need to know of the API.

    `statuses` maps a domain error to its HTTP status, `codes` an HTTP status to its problem code and sentence;
    `specification` returns the OpenAPI document.
    """

    statuses: Mapping[type[DomainError], int]
    codes: Mapping[int, tuple[str, str]]
    specification: Callable[[], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Field:
    """A parameter, or a field of a body. The `name` of a nested field is its dotted path."""

    name: str
    location: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """A request, a response or an error. `label` is a status with its phrase for those that have one."""

    id: str
    name: str
    label: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path. `responses` are triples of status line, description and fields."""

    id: str
    method: str
    path: str
    title: str
    description: str
    needs_token: bool
    parameters: list[Field]
    body: list[Field]
    responses: list[tuple[str, str, list[Field]]]
    examples: list[Example]


@dataclass(frozen=True, kw_only=True)
class Group:
    """The operations of one resource."""

    id: str
    name: str
    description: str
    operations: list[Operation]


@dataclass(frozen=True, kw_only=True)
class Outline:
    title: str
    version: str
    description: str
    groups: list[Group]


@docs.get("/docs")
def show_docs() -> Response:
    """Show every operation with its parameters, body and responses, and every error code."""
    metadata = current_api_metadata()
    errors = [(status, code, meaning) for status, (code, meaning) in metadata.codes.items()]
    errors += [(status, error.code, (error.__doc__ or "").strip()) for error, status in metadata.statuses.items()]
    api = build_outline(metadata)
    return render_page(
        "api_docs.html",
        english_texts(),
        site_name=api.title,
        scripts=("pages.js", "contents.js", "docs.js"),
        api=api,
        errors=sorted(errors),
        code_spans=code_spans,
        has_demo=not current_container().settings.is_production,
    )


def code_spans(text: str) -> Markup:
    """Return a description as HTML. Of Markdown, which OpenAPI allows there, ours have only `code`."""
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if is_code else escape(part)
        for is_code, part in zip(cycle((False, True)), text.split("`"), strict=False)
    )


def init_api_metadata(app: Flask, metadata: ApiMetadata) -> None:
    """Store the metadata in the app's extensions."""
    app.extensions[EXTENSION] = metadata


def current_api_metadata() -> ApiMetadata:
    """Return the metadata of the app that serves the current request."""
    return cast("ApiMetadata", current_app.extensions[EXTENSION])


def http_status_for(error: DomainError) -> int:
    """Return the HTTP status that the API gives this error."""
    return current_api_metadata().statuses[type(error)]


def build_outline(metadata: ApiMetadata) -> Outline:
    """Return the outline of the API's OpenAPI 3.1 specification."""
    specification = metadata.specification()
    operations = list(_SpecReader(specification, metadata).operations())
    return Outline(
        title=specification["info"]["title"],
        version=specification["info"]["version"],
        description=specification["info"].get("description", ""),
        groups=[
            Group(
                id=f"group-{tag['name'].replace(' ', '-')}",
                name=tag["name"],
                description=tag.get("description", ""),
                operations=[operation for tags, operation in operations if tag["name"] in tags],
            )
            for tag in specification["tags"]
        ],
    )


class _SpecReader:
    """Reads one specification and resolves its references."""

    def __init__(self, specification: Node, metadata: ApiMetadata) -> None:
        self._specification = specification
        self._server = specification["servers"][0]["url"]
        self._problems = {code: (status, detail) for status, (code, detail) in metadata.codes.items()} | {
            error.code: (status, (error.__doc__ or "").strip()) for error, status in metadata.statuses.items()
        }
        self._examples = ExampleBuilder(self._resolve)

    def operations(self) -> Iterator[tuple[list[str], Operation]]:
        for path, item in self._specification["paths"].items():
            for method in METHODS:
                if method in item:
                    shared = item.get("parameters", [])
                    yield item[method].get("tags", []), self._operation(path, method, item[method], shared)

    def _operation(self, path: str, method: str, node: Node, shared: list[Node]) -> Operation:
        parameters = [self._resolve(parameter) for parameter in (*shared, *node.get("parameters", []))]
        operation_id = f"{method}-{path.strip('/').replace('/', '-').translate({ord('{'): None, ord('}'): None})}"
        needs_token = bool(node.get("security")) or path.startswith("/v1/admin/")
        responses = [
            (int(code), response)
            for code, response in (
                (code, self._resolve(response)) for code, response in sorted(node["responses"].items())
            )
            if code.isdigit() and not _is_problem(response)
        ]
        body = self._schema(node.get("requestBody", {}))
        json_body = self._examples.minimal_body(body) if body else None
        error_code = _error_code(parameters, json_body, needs_token=needs_token)
        examples = [
            (
                "request",
                "",
                curl_example(self._server + path, method, parameters, json_body, needs_token=needs_token),
            ),
            ("response", *self._response_example(responses[0])),
            ("error", *self._error_example(error_code, json_body)),
        ]
        return Operation(
            id=operation_id,
            method=method.upper(),
            path=path,
            title=node.get("summary", ""),
            description=node.get("description", ""),
            needs_token=needs_token,
            parameters=[self._parameter(parameter) for parameter in parameters],
            body=list(self._fields(body)),
            responses=[
                (status_line(status), response.get("description", ""), list(self._fields(self._schema(response))))
                for status, response in responses
            ],
            examples=[
                Example(id=f"{operation_id}-{name}", name=name.capitalize(), label=label, text=text)
                for name, label, text in examples
            ],
        )

    def _response_example(self, response: tuple[int, Node]) -> tuple[str, str]:
        """Return the status line and the body of a response; the content types if they are not JSON."""
        status, node = response
        content: Node = node.get("content", {})
        schema = self._schema(node)
        if schema and "application/json" in content:
            return status_line(status), to_json(self._examples.value(schema))
        return status_line(status), "\n".join(f"Content-Type: {content_type}" for content_type in content)

    def _error_example(self, code: str, json_body: Mapping[str, Any] | None) -> tuple[str, str]:
        status, detail = self._problems[code]
        errors = (
            {next(iter(json_body or {}), "body"): ["Missing data for required field."]} if status == 422 else None
        )
        return status_line(status), problem_example(status, code, detail, errors)

    def _resolve(self, node: Node) -> Node:
        while "$ref" in node:
            target: Any = self._specification
            for key in node["$ref"].removeprefix("#/").split("/"):
                target = target[key]
            node = target
        # A nullable schema is shown as its other type.
        non_null = [schema for schema in node.get("anyOf", ()) if schema != {"type": "null"}]
        return self._resolve(non_null[0]) if non_null else node

    def _schema(self, body: Node) -> Node:
        """Return the schema of a request body or response; empty if it has none."""
        content: Node = next(iter(body.get("content", {}).values()), {})
        return self._resolve(content.get("schema", {}))

    def _parameter(self, node: Node) -> Field:
        return Field(
            name=node["name"],
            location=node["in"],
            type=self._type(node.get("schema", {})),
            required=node.get("required", False),
            description=node.get("description", ""),
        )

    def _fields(self, schema: Node, prefix: str = "") -> Iterator[Field]:
        required = schema.get("required", [])
        for name, node in schema.get("properties", {}).items():
            field = self._resolve(node)
            yield Field(
                name=prefix + name,
                location="body",
                type=self._type(field),
                required=name in required,
                description=node.get("description", field.get("description", "")),
            )
            nested = self._resolve(field.get("items", field))
            if "properties" in nested:
                yield from self._fields(nested, f"{prefix}{name}[]." if "items" in field else f"{prefix}{name}.")

    def _type(self, schema: Node) -> str:
        """Return a schema's type for people: "list of string", "string (date)" or its enum values."""
        schema = self._resolve(schema)
        if "enum" in schema:
            values = [str(value) for value in schema["enum"] if value is not None]
            # Currencies: too many to list.
            return " | ".join(values) if len(values) <= MAX_LISTED_VALUES else f"string ({len(values)} values)"
        if "items" in schema:
            return f"list of {self._type(schema['items'])}"
        json_type = schema.get("type", "string")
        name = " or ".join(json_type) if isinstance(json_type, list) else str(json_type)
        return f"{name} ({schema['format']})" if "format" in schema else name


def _is_problem(response: Node) -> bool:
    return "application/problem+json" in response.get("content", {})


def _error_code(parameters: list[Node], json_body: Mapping[str, Any] | None, *, needs_token: bool) -> str:
    """Return the code of the error that callers of an operation meet most."""
    if json_body:
        return "validation_failed"
    for parameter in parameters:
        if parameter["in"] == "path" and parameter["name"] in NOT_FOUND_CODES:
            return NOT_FOUND_CODES[parameter["name"]]
    return "unauthorized" if needs_token else "bad_request"
