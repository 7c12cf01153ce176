"""The OpenAPI document is valid and complete, and fuzzed requests conform to it."""

import re
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.container import Container
from tests.api.client import (
    new_idempotency_key,
    pay_pledge,
    post_pledge,
    post_reminder,
    reminder_token_for,
    staff_token,
)

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
UNDOCUMENTED = {"/healthz", "/readyz", "/metrics"}


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


@pytest.fixture
def credentials(container: Container, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return valid credentials and ids: a staff token, a pledge id and a reminder token."""
    monkeypatch.setattr("service.api.admin.campaigns.wait_for_ttl", lambda: None)
    pledge_id = post_pledge(client).json["id"]
    pay_pledge(container, pledge_id, email="other@example.org")
    post_reminder(client)
    token = staff_token(container, "read", "export", "manage")
    return {
        "pledge_id": pledge_id,
        "token": reminder_token_for(container, "reader@example.org"),
        "staff": token,
        "slug": "default",
    }


def test_fuzzed_requests_conform_to_document(app: Flask, credentials: dict[str, str]) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    valid_ids = {name: credentials[name] for name in ("pledge_id", "token", "slug")}
    covered: set[str] = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        covered.add(operation.label)
        for invalid in (True, False):
            mode = schemathesis.GenerationMode.NEGATIVE if invalid else schemathesis.GenerationMode.POSITIVE

            @seed(20261123)
            @hypothesis_settings(
                max_examples=4,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode), authorized=st.booleans())
            def attempt(case: Any, authorized: bool) -> None:
                case.headers["Authorization"] = f"Bearer {credentials['staff']}"
                if authorized:
                    # Half of the requests get valid credentials, to reach the code behind authentication.
                    case.headers["Idempotency-Key"] = new_idempotency_key()
                    for name in valid_ids.keys() & case.path_parameters.keys():
                        case.path_parameters[name] = valid_ids[name]
                case.call_and_validate(checks=CHECKS)

            try:
                attempt()
            except Unsatisfiable:
                # An operation without parameters has no invalid requests.
                assert invalid
    assert len(covered) == sum(rule.rule.startswith("/v1/") for rule in app.url_map.iter_rules())
