"""The API reference at `/docs`: an outline of the OpenAPI document with a `curl` example for each operation."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app

from service.domain.errors import DomainError
from service.pages.rendering import render_page
from service.pages.translations import english_texts
from service.web import current_container

EXTENSION = "mainstay_api"
METHODS = ("get", "post", "put", "delete")
# Values that the demo campaign accepts, for fields without an example in the specification.
EXAMPLES: Mapping[str, Any] = {
    "campaign": "default",
    "slug": "default",
    "currency": "USD",
    "frequency": "monthly",
    "name": "The Paper",
    "heading": "Keep this paper independent",
    "message": ["Readers pay for it."],
    "email": "reader@example.org",
    "months": 1,
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
class Operation:
    """One method of one path. `responses` are triples of status, description and fields."""

    id: str
    method: str
    path: str
    title: str
    needs_token: bool
    parameters: list[Field]
    body: list[Field]
    responses: list[tuple[str, str, list[Field]]]
    example: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """The operations of one resource."""

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
    api = build_outline(metadata.specification())
    return render_page(
        "api_docs.html",
        english_texts(),
        site_name=api.title,
        api=api,
        errors=sorted(errors),
        has_demo=not current_container().settings.is_production,
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


def build_outline(specification: Node) -> Outline:
    """Return the outline of an OpenAPI 3.1 specification."""
    operations = list(_SpecReader(specification).operations())
    return Outline(
        title=specification["info"]["title"],
        version=specification["info"]["version"],
        description=specification["info"].get("description", ""),
        groups=[
            Group(
                name=tag["name"],
                description=tag.get("description", ""),
                operations=[operation for tags, operation in operations if tag["name"] in tags],
            )
            for tag in specification["tags"]
        ],
    )


class _SpecReader:
    """Reads one specification and resolves its references."""

    def __init__(self, specification: Node) -> None:
        self._specification = specification
        self._server = specification["servers"][0]["url"]

    def operations(self) -> Iterator[tuple[list[str], Operation]]:
        for path, item in self._specification["paths"].items():
            for method in METHODS:
                if method in item:
                    shared = item.get("parameters", [])
                    yield item[method].get("tags", []), self._operation(path, method, item[method], shared)

    def _operation(self, path: str, method: str, node: Node, shared: list[Node]) -> Operation:
        parameters = [self._resolve(parameter) for parameter in (*shared, *node.get("parameters", []))]
        body = self._schema(node.get("requestBody", {}))
        needs_token = bool(node.get("security")) or path.startswith("/v1/admin/")
        return Operation(
            id=f"{method}-{path.strip('/').replace('/', '-').translate({ord('{'): None, ord('}'): None})}",
            method=method.upper(),
            path=path,
            title=node.get("summary", ""),
            needs_token=needs_token,
            parameters=[self._parameter(parameter) for parameter in parameters],
            body=list(self._fields(body)),
            responses=[
                (code, response.get("description", ""), list(self._fields(self._schema(response))))
                for code, response in (
                    (code, self._resolve(response)) for code, response in sorted(node["responses"].items())
                )
                if code.isdigit() and not _is_problem(response)
            ],
            example=curl_example(self._server + path, method, parameters, body, needs_token=needs_token),
        )

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
            return " | ".join(str(value) for value in schema["enum"] if value is not None)
        if "items" in schema:
            return f"list of {self._type(schema['items'])}"
        json_type = schema.get("type", "string")
        name = " or ".join(json_type) if isinstance(json_type, list) else str(json_type)
        return f"{name} ({schema['format']})" if "format" in schema else name


def _is_problem(response: Node) -> bool:
    return "application/problem+json" in response.get("content", {})


def curl_example(
    url: str,
    method: str,
    parameters: Iterable[Mapping[str, Any]],
    body: Mapping[str, Any],
    *,
    needs_token: bool,
) -> str:
    """Return the request as a `curl` command. `body` is the schema of the body, empty if there is none."""
    url = url.replace("{slug}", EXAMPLES["slug"])
    lines = [f"curl '{url}'" if method == "get" else f"curl -X {method.upper()} '{url}'"]
    if needs_token:
        lines.append("-H 'Authorization: Bearer <token>'")
    lines += [f"-H '{parameter['name']}: <a new UUID>'" for parameter in parameters if parameter["in"] == "header"]
    if body:
        lines += [
            "-H 'Content-Type: application/json'",
            f"-d '{json.dumps(_minimal_body(body), ensure_ascii=False)}'",
        ]
    return " \\\n  ".join(lines)


def _minimal_body(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with the required fields, or with all fields if none is required."""
    properties = schema.get("properties", {})
    names = schema.get("required") or list(properties)
    return {name: properties[name].get("example", EXAMPLES.get(name, "…")) for name in properties if name in names}
