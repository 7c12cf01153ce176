"""The API reference shows everything that the OpenAPI document describes."""

from flask.testing import FlaskClient

from service.api.problems import STATUS_BY_ERROR
from tests.pages.html import visible_text


def test_every_operation_has_an_example(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").json["paths"]
    page = client.get("/docs").text
    operations = [(path, method) for path, item in paths.items() for method in item if method != "parameters"]
    assert len(operations) > 10
    for path, method in operations:
        assert f'<code class="method">{method.upper()}</code> <code>{path}</code>' in page
    assert page.count("<h4>Example</h4>") == len(operations)
    assert page.count("curl ") == len(operations)


def test_request_fields_have_types_and_constraints(client: FlaskClient) -> None:
    page = visible_text(client.get("/docs").text)
    assert "Idempotency-Key required header, string" in page
    assert "frequency required once | monthly | annual" in page
    assert "email required string" in page
    assert "frequencies[].minimum integer" in page
    assert "cover_fees.basis_points integer" in page
    assert "other_currencies[].frequencies[].minimum integer" in page


def test_staff_operations_are_marked(client: FlaskClient) -> None:
    page = client.get("/docs").text
    summary = page.partition('id="get-v1-admin-summary"')[2].partition("</article>")[0]
    assert "Needs a staff token." in summary
    assert "Authorization: Bearer" in summary
    pledges = page.partition('id="post-v1-pledges"')[2].partition("</article>")[0]
    assert "Needs a staff token." not in pledges


def test_every_domain_error_is_listed(client: FlaskClient) -> None:
    page = client.get("/docs").text
    for error, status in STATUS_BY_ERROR.items():
        assert f"<code>{status}</code> <code>{error.code}</code>" in page
