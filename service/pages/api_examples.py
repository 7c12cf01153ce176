"""Examples of requests and responses, made from the schemas of the OpenAPI document."""

import json
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

Node = Mapping[str, Any]

AN_ID = "0198c0de-7a5e-7c4b-9d1f-3b2a6e8f4c10"
# Values for fields and parameters without an example in the specification, used where they fit the schema.
EXAMPLES: Mapping[str, Any] = {
    "advice": "Attach the event to a pledge.",
    "amount": 200,
    "campaign": "default",
    "choices": [1, 3, 6],
    "checkout_url": "https://checkout.stripe.com/c/pay/cs_live_a1b2c3",
    "contact_url": "https://paper.example/contact",
    "currency": "USD",
    "default": 700,
    "default_frequency": "monthly",
    "due_on": "2026-12-23",
    "email": "reader@example.org",
    "exponent": 2,
    "fee": 36,
    "fees": 0,
    "frequency": "monthly",
    "gateway": "stripe",
    "gateway_reference": "pi_3Qx7a1b2c3",
    "gross": 200,
    "heading": "Keep this paper independent",
    "kept": ["2 payments, without a person, for the accounts"],
    "kind": "charge",
    "lang": "en",
    "maximum": 1000000,
    "message": ["Readers pay for it."],
    "minimum": 200,
    "months": 1,
    "name": "The Harbour Lantern",
    "net": 164,
    "origins": ["https://paper.example"],
    "other_currencies": [],
    "page_title": "Seventy-one mornings without a ferry",
    "page_url": "https://paper.example/ferry",
    "presets": [200, 700, 1500],
    "repeats": [],
    "return_hosts": ["paper.example"],
    "return_url": "https://paper.example/ferry",
    "slug": "default",
    "source": "webhook",
    "step": 1,
    "support_url": "https://support.paper.example/support/default",
    "timezone": "Europe/Amsterdam",
    "texts": "Continue",
    "total": 200,
    "type": "invoice.paid",
    "variant": "article-foot",
}
# Path parameters that are no id.
PATH_EXAMPLES: Mapping[str, str] = {"slug": "default", "token": "<token>", "service": "postmark"}
BY_FORMAT: Mapping[str, str] = {
    "uuid": AN_ID,
    "date-time": "2026-11-23T08:00:00Z",
    "date": "2026-12-23",
    "uri": "https://paper.example/ferry",
    "url": "https://paper.example/ferry",
}
# The key of an example in an object that has any keys.
KEYS: Mapping[str, str] = {"texts": "continue", "pledges": "active", "reminders": "scheduled"}
JSON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


class ExampleBuilder:
    """Makes example values of schemas. `resolve` follows a schema's references."""

    def __init__(self, resolve: Callable[[Node], Node]) -> None:
        self._resolve = resolve

    def minimal_body(self, schema: Node) -> dict[str, Any]:
        """Return a request body with the required fields, or with all fields if none is required."""
        properties = schema.get("properties", {})
        names = schema.get("required") or list(properties)
        return {name: self.value(node, name) for name, node in properties.items() if name in names}

    def value(self, node: Node, name: str = "") -> Any:
        """Return an example of a schema; `name` is that of the field."""
        schema = self._resolve(node)
        if "example" in schema:
            return schema["example"]
        types = schema.get("type", "object" if "properties" in schema else "string")
        json_types = types if isinstance(types, list) else [types]
        if _fits(schema, json_types, name):
            return EXAMPLES[name]
        if "enum" in schema:
            return schema["enum"][0]
        if "null" in json_types:
            return None
        return self._value_of_type(schema, json_types[0], name)

    def _value_of_type(self, schema: Node, json_type: str, name: str) -> Any:
        if json_type == "object":
            return self._object(schema, name)
        if json_type == "array":
            return [self.value(schema["items"], name.removesuffix("s"))] if "items" in schema else []
        if json_type == "boolean":
            return schema.get("default", False)
        if json_type in ("integer", "number"):
            return schema.get("default", schema.get("minimum", 1))
        return BY_FORMAT.get(schema.get("format", ""), schema.get("default", "…"))

    def _object(self, schema: Node, name: str) -> dict[str, Any]:
        properties = schema.get("properties", {})
        if properties:
            return {key: self.value(node, key) for key, node in properties.items()}
        values = schema.get("additionalProperties")
        if not isinstance(values, Mapping) or values.get("type") == "object":
            return {}
        return {KEYS.get(name, "name"): EXAMPLES.get(name, self.value(values))}


def _fits(schema: Node, json_types: list[str], name: str) -> bool:
    """Whether there is an example of this name, and it is a value of the schema."""
    if name not in EXAMPLES or not any(_is_of_type(EXAMPLES[name], json_type) for json_type in json_types):
        return False
    if "enum" in schema:
        return EXAMPLES[name] in schema["enum"]
    return schema.get("format") not in ("uuid", "date-time")


def _is_of_type(value: Any, json_type: str) -> bool:
    if json_type in ("integer", "number") and isinstance(value, bool):
        return False
    return json_type in JSON_TYPES and isinstance(value, JSON_TYPES[json_type])


def curl_example(
    url: str, method: str, parameters: Iterable[Node], body: Mapping[str, Any] | None, *, needs_token: bool
) -> str:
    """Return a request as a `curl` command. `body` is its JSON; None if it has none."""
    for parameter in parameters:
        if parameter["in"] == "path":
            name = parameter["name"]
            url = url.replace(f"{{{name}}}", PATH_EXAMPLES.get(name, AN_ID))
    lines = [f"curl '{url}'" if method == "get" else f"curl -X {method.upper()} '{url}'"]
    if needs_token:
        lines.append("-H 'Authorization: Bearer <token>'")
    lines += [
        f"-H '{parameter['name']}: {'<a new UUID>' if parameter['name'] == 'Idempotency-Key' else '<signature>'}'"
        for parameter in parameters
        if parameter["in"] == "header"
    ]
    if body is not None:
        lines += ["-H 'Content-Type: application/json'", f"-d '{to_json(body)}'"]
    return " \\\n  ".join(lines)


def to_json(value: Any) -> str:
    """Return JSON for people."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def status_line(status: int) -> str:
    """Return a status with its phrase: "201 Created"."""
    return f"{status} {HTTPStatus(status).phrase}"


def problem_example(status: int, code: str, detail: str, errors: Mapping[str, list[str]] | None = None) -> str:
    """Return the body of an error as `service.api.problems` writes it."""
    body: dict[str, Any] = {
        "type": f"urn:mainstay:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return to_json(body if errors is None else body | {"errors": dict(errors)})
