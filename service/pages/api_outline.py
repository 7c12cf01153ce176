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
