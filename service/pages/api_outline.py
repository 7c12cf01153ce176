"""An OpenAPI specification as a page shows it: groups, operations, fields, and an example of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.pages.api_example import curl_example

Node = Mapping[str, Any]

METHODS = ("get", "post", "put", "delete")


@dataclass(frozen=True, kw_only=True)
class Field:
    """A parameter or a field of a body. `name` has dots for what stands inside another."""

    name: str
    place: str
    kind: str
    required: bool
    about: str


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
    answers: list[tuple[str, str, list[Field]]]
    example: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """The operations of one resource."""

    name: str
    about: str
    operations: list[Operation]


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The whole API."""

    title: str
    version: str
    about: str
    groups: list[Group]


def outline(specification: Node) -> Outline:
    """Return the outline of an OpenAPI 3.1 specification."""
    reader = _Reader(specification)
    operations = list(reader.operations())
    return Outline(
        title=specification["info"]["title"],
        version=specification["info"]["version"],
        about=specification["info"].get("description", ""),
        groups=[
            Group(
                name=tag["name"],
                about=tag.get("description", ""),
                operations=[operation for tags, operation in operations if tag["name"] in tags],
            )
            for tag in specification["tags"]
        ],
    )


class _Reader:
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
        parameters = [self._follow(one) for one in (*shared, *node.get("parameters", []))]
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
            answers=[
                (code, response.get("description", ""), list(self._fields(self._schema(response))))
                for code, response in (
                    (code, self._follow(one)) for code, one in sorted(node["responses"].items())
                )
                if code.isdigit() and not _is_problem(response)
            ],
            example=curl_example(self._server + path, method, parameters, body, needs_token=needs_token),
        )

    def _follow(self, node: Node) -> Node:
        while "$ref" in node:
            found: Any = self._specification
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            node = found
        # What may be left empty is shown as what it else is.
        given = [one for one in node.get("anyOf", ()) if one != {"type": "null"}]
        return self._follow(given[0]) if given else node

    def _schema(self, holder: Node) -> Node:
        content: Node = next(iter(holder.get("content", {}).values()), {})
        return self._follow(content.get("schema", {}))

    def _parameter(self, node: Node) -> Field:
        return Field(
            name=node["name"],
            place=node["in"],
            kind=self._kind(node.get("schema", {})),
            required=node.get("required", False),
            about=node.get("description", ""),
        )

    def _fields(self, schema: Node, prefix: str = "") -> Iterator[Field]:
        required = schema.get("required", [])
        for name, node in schema.get("properties", {}).items():
            inner = self._follow(node)
            yield Field(
                name=prefix + name,
                place="body",
                kind=self._kind(inner),
                required=name in required,
                about=node.get("description", inner.get("description", "")),
            )
            part = self._follow(inner.get("items", inner))
            if "properties" in part:
                yield from self._fields(part, f"{prefix}{name}[]." if "items" in inner else f"{prefix}{name}.")

    def _kind(self, schema: Node) -> str:
        schema = self._follow(schema)
        if "enum" in schema:
            return " | ".join(str(one) for one in schema["enum"] if one is not None)
        if "items" in schema:
            return f"list of {self._kind(schema['items'])}"
        kind = schema.get("type", "string")
        words = " or ".join(kind) if isinstance(kind, list) else str(kind)
        return f"{words} ({schema['format']})" if "format" in schema else words


def _is_problem(response: Node) -> bool:
    return "application/problem+json" in response.get("content", {})
