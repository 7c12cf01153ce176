"""A request that can be copied into a shell, made from an operation's own description."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app

from service.domain.errors import DomainError
from service.pages.rendering import render_page
from service.pages.translations import english_texts

# What the demonstration's own campaign would take, for fields that have no example of their own.
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


def curl_example(
    url: str,
    method: str,
    parameters: Iterable[Mapping[str, Any]],
    body: Mapping[str, Any],
    *,
    needs_token: bool,
) -> str:
    """Return the request as a `curl` command; `body` is the schema of the body, empty for none."""
    url = url.replace("{slug}", EXAMPLES["slug"])
    lines = [f"curl '{url}'" if method == "get" else f"curl -X {method.upper()} '{url}'"]
    if needs_token:
        lines.append("-H 'Authorization: Bearer <token>'")
    lines += [f"-H '{one['name']}: <a new UUID>'" for one in parameters if one["in"] == "header"]
    if body:
        lines += [
            "-H 'Content-Type: application/json'",
            f"-d '{json.dumps(_minimal_body(body), ensure_ascii=False)}'",
        ]
    return " \\\n  ".join(lines)


def _minimal_body(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with the required fields, or with all where none is required."""
    properties = schema.get("properties", {})
    names = schema.get("required") or list(properties)
    return {name: properties[name].get("example", EXAMPLES.get(name, "…")) for name in properties if name in names}


EXTENSION = "mainstay_api"


@dataclass(frozen=True, kw_only=True)
class ApiMetadata:
    """The API's own tables: domain error → HTTP status, and HTTP status → code and sentence; and its OpenAPI."""

    statuses: Mapping[type[DomainError], int]
    codes: Mapping[int, tuple[str, str]]
    specification: Callable[[], dict[str, Any]]


def init_api_metadata(app: Flask, facts: ApiMetadata) -> None:
    """Give an app's pages the facts."""
    app.extensions[EXTENSION] = facts


def current_api_metadata() -> ApiMetadata:
    """Return the facts of the app that serves the current request."""
    return cast("ApiMetadata", current_app.extensions[EXTENSION])


def http_status_for(error: DomainError) -> int:
    """Return the HTTP status of a refusal: the same that the API answers with."""
    return current_api_metadata().statuses[type(error)]


Node = Mapping[str, Any]

METHODS = ("get", "post", "put", "delete")


@dataclass(frozen=True, kw_only=True)
class Field:
    """A parameter or a field of a body. `name` has dots for what stands inside another."""

    name: str
    location: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one address."""

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
    """The whole API."""

    title: str
    version: str
    description: str
    groups: list[Group]


def build_outline(specification: Node) -> Outline:
    """Return the outline of an OpenAPI 3.1 specification."""
    reader = _SpecReader(specification)
    operations = list(reader.operations())
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
    """Follows the references of one specification."""

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
        parameters = [self._resolve(one) for one in (*shared, *node.get("parameters", []))]
        body = self._schema(node.get("requestBody", {}))
        needs_token = bool(node.get("security")) or path.startswith("/v1/admin/")
        return Operation(
            id=f"{method}-{path.strip('/').replace('/', '-').translate({ord('{'): None, ord('}'): None})}",
            method=method.upper(),
            path=path,
            title=node.get("summary", ""),
            needs_token=needs_token,
            parameters=[self._parameter(one) for one in parameters],
            body=list(self._fields(body)),
            responses=[
                (code, response.get("description", ""), list(self._fields(self._schema(response))))
                for code, response in (
                    (code, self._resolve(one)) for code, one in sorted(node["responses"].items())
                )
                if code.isdigit() and not _is_problem(response)
            ],
            example=curl_example(self._server + path, method, parameters, body, needs_token=needs_token),
        )

    def _resolve(self, node: Node) -> Node:
        while "$ref" in node:
            found: Any = self._specification
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            node = found
        # What may be left empty is shown as what it else is.
        given = [one for one in node.get("anyOf", ()) if one != {"type": "null"}]
        return self._resolve(given[0]) if given else node

    def _schema(self, holder: Node) -> Node:
        content: Node = next(iter(holder.get("content", {}).values()), {})
        return self._resolve(content.get("schema", {}))

    def _parameter(self, node: Node) -> Field:
        return Field(
            name=node["name"],
            location=node["in"],
            type=self._kind(node.get("schema", {})),
            required=node.get("required", False),
            description=node.get("description", ""),
        )

    def _fields(self, schema: Node, prefix: str = "") -> Iterator[Field]:
        required = schema.get("required", [])
        for name, node in schema.get("properties", {}).items():
            inner = self._resolve(node)
            yield Field(
                name=prefix + name,
                location="body",
                type=self._kind(inner),
                required=name in required,
                description=node.get("description", inner.get("description", "")),
            )
            part = self._resolve(inner.get("items", inner))
            if "properties" in part:
                yield from self._fields(part, f"{prefix}{name}[]." if "items" in inner else f"{prefix}{name}.")

    def _kind(self, schema: Node) -> str:
        schema = self._resolve(schema)
        if "enum" in schema:
            return " | ".join(str(one) for one in schema["enum"] if one is not None)
        if "items" in schema:
            return f"list of {self._kind(schema['items'])}"
        kind = schema.get("type", "string")
        texts = " or ".join(kind) if isinstance(kind, list) else str(kind)
        return f"{texts} ({schema['format']})" if "format" in schema else texts


def _is_problem(response: Node) -> bool:
    return "application/problem+json" in response.get("content", {})


docs = Blueprint("docs", __name__)


@docs.get("/docs")
def show_docs() -> Response:
    """Show every operation, what it takes and answers, and every error."""
    facts = current_api_metadata()
    errors = [(status, code, sentence) for status, (code, sentence) in facts.codes.items()]
    errors += [(status, error.code, (error.__doc__ or "").strip()) for error, status in facts.statuses.items()]
    return render_page(
        "docs.html", english_texts(), api=build_outline(facts.specification()), errors=sorted(errors)
    )
