"""The OpenAPI document is valid and complete; `test_openapi_fuzzing` tests that the API keeps to it."""

import re

import jsonschema_rs
import schemathesis
from flask import Flask
from flask.testing import FlaskClient


def test_document_is_openapi_3_1_and_names_server(client: FlaskClient) -> None:
    response = client.get("/openapi.json")
    assert response.content_type == "application/json"
    assert response.json["openapi"].startswith("3.1")
    assert response.json["servers"] == [{"url": "http://desk.test"}]
    assert response.json["info"]["title"] == "Mainstay"


def test_document_is_valid(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    schemathesis.openapi.from_dict(document).validate()
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        assert schema.get("type") == "object", name


def test_document_describes_exactly_the_routes(app: Flask, client: FlaskClient) -> None:
    described = {
        (method.upper(), path)
        for path, operations in client.get("/openapi.json").json["paths"].items()
        for method in operations
        if method != "parameters"
    }
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/v1/")
    }
    assert described == served


def test_each_operation_has_summary_and_problem_response(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            assert operation["summary"].endswith("."), (method, path)
            assert any(code.startswith(("2", "303")) for code in operation["responses"]), (method, path)
            assert "default" in operation["responses"], (method, path)
    assert "application/problem+json" in document["components"]["responses"]["DEFAULT_ERROR"]["content"]


def test_opening_a_reminder_action_is_described(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").json["paths"]
    for action in ("cancel", "snooze", "confirm"):
        operation = paths[f"/v1/reminders/{{token}}/{action}"]["get"]
        assert {"303", "405"} <= set(operation["responses"])
        assert "2" not in {code[0] for code in operation["responses"]}


def test_staff_operations_require_bearer_token(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document["components"]["securitySchemes"]["staff"] == {"type": "http", "scheme": "bearer"}
    for path, operations in document["paths"].items():
        needed = [{"staff": []}] if "/admin/" in path else []
        for method, operation in operations.items():
            if method != "parameters":
                assert operation.get("security", []) == needed, (method, path)
