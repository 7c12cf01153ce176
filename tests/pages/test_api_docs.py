"""The API reference shows everything that the OpenAPI document describes, with examples that keep to it."""

import json
import re
from html import unescape

from flask.testing import FlaskClient
from jsonschema_rs import Draft202012Validator

from service.api.problems import HTTP_PROBLEMS, STATUS_BY_ERROR
from service.pages.api_docs import code_spans
from tests.pages.html import visible_text


def example(page: str, operation_id: str, name: str) -> str:
    """Return the text of one example: `request`, `response` or `error`; empty if there is none."""
    match = re.search(rf'<pre id="{operation_id}-{name}"[^>]*><code>(.*?)</code></pre>', page, re.DOTALL)
    return unescape(match[1]) if match else ""


def operations(client: FlaskClient) -> list[tuple[str, str, str, dict]]:
    """Return the id, method, path and specification of each operation."""
    paths = client.get("/openapi.json").json["paths"]
    return [
        (f"{method}-{re.sub(r'[{}]', '', path.strip('/').replace('/', '-'))}", method, path, node)
        for path, item in paths.items()
        for method, node in item.items()
        if method != "parameters"
    ]


def json_schema(client: FlaskClient, node: dict) -> dict | None:
    """Return the schema of a JSON body with what it refers to; None if the body is not JSON or has no schema."""
    schema = node.get("content", {}).get("application/json", {}).get("schema")
    return None if schema is None else schema | {"components": client.get("/openapi.json").json["components"]}


def test_every_operation_is_shown_and_in_the_contents(client: FlaskClient) -> None:
    page = client.get("/docs").text
    contents = page.partition("<nav")[2].partition("</nav>")[0].replace("<wbr>", "")
    described = operations(client)
    assert len(described) > 20
    for operation_id, method, path, _ in described:
        assert f'<code class="method">{method.upper()}</code> <code>{path}</code>' in page
        assert f'<a href="#{operation_id}"><code>{method.upper()} {path}</code>' in contents
        assert page.count(f'id="{operation_id}"') == 1
    assert re.findall(r' id="([^"]*)"', page) == list(dict.fromkeys(re.findall(r' id="([^"]*)"', page)))


def test_every_operation_has_a_request_with_headers_and_body(client: FlaskClient) -> None:
    page = client.get("/docs").text
    for operation_id, method, path, node in operations(client):
        request = example(page, operation_id, "request")
        assert request.startswith("curl '" if method == "get" else f"curl -X {method.upper()} '")
        assert "{" not in request.partition("-d '")[0], path
        assert ("Authorization: Bearer" in request) == bool(node.get("security"))
    request = example(page, "post-v1-pledges", "request")
    assert "-H 'Idempotency-Key: <a new UUID>'" in request
    assert "-H 'Content-Type: application/json'" in request
    body = {"campaign": "default", "frequency": "monthly", "amount": 200, "currency": "USD"}
    assert json.loads(request.partition("-d '")[2].removesuffix("'")) == body


def test_examples_of_requests_are_valid(client: FlaskClient) -> None:
    page, checked = client.get("/docs").text, 0
    for operation_id, _, _, node in operations(client):
        schema = json_schema(client, node.get("requestBody", {}))
        if schema and "-d '" in (request := example(page, operation_id, "request")):
            body = json.loads(request.partition("-d '")[2].removesuffix("'"))
            assert [error.message for error in Draft202012Validator(schema).iter_errors(body)] == [], operation_id
            checked += 1
    assert checked > 5


def test_example_of_a_pledge_is_accepted_by_the_api(client: FlaskClient) -> None:
    request = example(client.get("/docs").text, "post-v1-pledges", "request")
    response = client.post(
        "/v1/pledges",
        data=request.partition("-d '")[2].removesuffix("'"),
        headers={"Content-Type": "application/json", "Idempotency-Key": "an-example-of-the-docs"},
    )
    assert response.status_code == 201
    shown = json.loads(example(client.get("/docs").text, "post-v1-pledges", "response"))
    assert sorted(shown) == sorted(response.json)
    assert {type(value) for value in shown.values()} == {type(value) for value in response.json.values()}


def test_examples_of_responses_are_valid(client: FlaskClient) -> None:
    page, checked = client.get("/docs").text, 0
    for operation_id, _, _, node in operations(client):
        status = min(code for code in node["responses"] if code.isdigit())
        schema = json_schema(client, node["responses"][status])
        assert f'id="{operation_id}-response-title">Response <code>{status} ' in page
        if schema:
            response = json.loads(example(page, operation_id, "response"))
            problems = [error.message for error in Draft202012Validator(schema).iter_errors(response)]
            assert problems == [], operation_id
            checked += 1
    assert checked > 20


def test_every_operation_shows_an_error_that_the_api_gives(client: FlaskClient) -> None:
    page = client.get("/docs").text
    codes = {error.code: status for error, status in STATUS_BY_ERROR.items()}
    codes |= {code: status for status, (code, _) in HTTP_PROBLEMS.items()}
    for operation_id, _, _, _ in operations(client):
        problem = json.loads(example(page, operation_id, "error"))
        assert codes[problem["code"]] == problem["status"]
        assert problem["type"] == f"urn:mainstay:problem:{problem['code']}"
    real = client.get("/v1/pledges/0198c0de-7a5e-7c4b-9d1f-3b2a6e8f4c10").json
    assert sorted(json.loads(example(page, "get-v1-pledges-pledge_id", "error"))) == sorted(real)


def test_request_fields_have_types_and_constraints(client: FlaskClient) -> None:
    page = visible_text(client.get("/docs").text)
    assert "Idempotency-Key required header, string" in page
    assert "frequency required once | monthly | annual" in page
    assert "email required string" in page
    assert "frequencies[].minimum integer" in page
    assert "cover_fees.basis_points integer" in page
    assert "other_currencies[].frequencies[].minimum integer" in page
    assert "| AED |" not in page


def test_staff_operations_are_marked(client: FlaskClient) -> None:
    page = client.get("/docs").text
    summary = page.partition('id="get-v1-admin-summary"')[2].partition("</article>")[0]
    assert "Staff token</em>" in summary
    pledges = page.partition('id="post-v1-pledges"')[2].partition("</article>")[0]
    assert "Staff token</em>" not in pledges


def test_every_domain_error_is_listed(client: FlaskClient) -> None:
    page = client.get("/docs").text
    for error, status in STATUS_BY_ERROR.items():
        assert f"<code>{status}</code> <code>{error.code}</code>" in page


def test_words_are_those_of_other_references(client: FlaskClient) -> None:
    page = visible_text(client.get("/docs").text)
    for words in (
        "Response 201 Created",
        "Campaign options.",
        "Reminder emails.",
        "Unknown fields are rejected.",
        "Rate limit exceeded for this client.",
    ):
        assert words in page


def test_scripts_and_styles_are_our_own_and_none_is_inline(client: FlaskClient) -> None:
    response = client.get("/docs")
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert re.findall(r'<script[^>]* src="([^"?]*)', response.text) == [
        "/static/pages.js",
        "/static/contents.js",
        "/static/docs.js",
    ]
    assert "<style" not in response.text
    assert " style=" not in response.text
    for path in ("/static/docs.js", "/static/docs.css"):
        assert client.get(path).status_code == 200


def test_code_in_descriptions_is_shown_as_code_and_not_as_markdown(client: FlaskClient) -> None:
    page = client.get("/docs").text
    descriptions = re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)
    assert "`" not in descriptions
    assert "<code>heading</code> and <code>message</code>" in descriptions
    assert code_spans("`a<b` & c") == "<code>a&lt;b</code> &amp; c"


def test_no_response_is_described_by_its_status_phrase_again(client: FlaskClient) -> None:
    page = client.get("/docs").text
    assert "<h4>Response <code>200 OK</code></h4>" in page
    assert "<p>OK</p>" not in page
