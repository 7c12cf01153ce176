"""A request that can be copied into a shell, made from an operation's own description."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

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
