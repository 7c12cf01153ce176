"""A name that a JSON body has twice is refused, because programs disagree about which value counts."""

import pytest
from flask.testing import FlaskClient

from service.container import Container
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from tests.api.client import assert_problem, auth_headers, count, new_idempotency_key

PLEDGE = '"campaign": "default", "frequency": "monthly", "amount": 200, "currency": "USD"'


@pytest.mark.parametrize(
    "body",
    [
        f'{{{PLEDGE}, "amount": 900000}}',
        f'{{"amount": 200, {PLEDGE}}}',
        f'{{{PLEDGE}, "\\u0061mount": 900000}}',
        f'{{{PLEDGE}, "unknown": {{"deep": 1, "deep": 2}}}}',
        f'{{{PLEDGE}, "unknown": [{{"": 1, "": 2}}]}}',
        f'{{{PLEDGE}, "{"x" * 5000}": 1, "{"x" * 5000}": 2}}',
        f'{{{PLEDGE}, "\\ud800": 1, "\\ud800": 2}}',
    ],
)
def test_duplicate_name_in_a_pledge_is_refused(client: FlaskClient, container: Container, body: str) -> None:
    headers = {"Idempotency-Key": new_idempotency_key()}
    response = client.post("/v1/pledges", data=body, content_type="application/json", headers=headers)
    problem = assert_problem(response, 400, "invalid_json", says="twice")
    assert len(problem["detail"]) < 300
    assert count(container, Pledge) == 0


def test_refusal_names_the_duplicate(client: FlaskClient, container: Container) -> None:
    body = '{"campaign": "default", "email": "reader@example.org", "email": "other@example.org"}'
    response = client.post("/v1/reminders", data=body, content_type="application/json")
    problem = assert_problem(response, 400, "invalid_json", says='names "email" twice')
    assert "other" not in problem["detail"]
    assert count(container, Reminder) == 0


def test_duplicate_name_in_a_staff_request_is_refused(client: FlaskClient, container: Container) -> None:
    body = '{"email": "reader@example.org", "email": "other@example.org"}'
    headers = auth_headers(container, "manage") | {"Content-Type": "application/json"}
    assert_problem(client.post("/v1/admin/erasures", data=body, headers=headers), 400, "invalid_json")


def test_same_name_in_two_objects_is_no_duplicate(client: FlaskClient) -> None:
    body = f'{{{PLEDGE}, "unknown": [{{"amount": 1}}, {{"amount": 1}}]}}'
    headers = {"Idempotency-Key": new_idempotency_key()}
    response = client.post("/v1/pledges", data=body, content_type="application/json", headers=headers)
    assert_problem(response, 422, "validation_failed", field="unknown")
