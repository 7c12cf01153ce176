"""Authentication and scopes of every staff route."""

import datetime
import re
import uuid

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from schemas.enums import Scope
from service.container import Container
from service.domain.staff import list_staff_tokens, revoke_staff_token
from tests.api.client import assert_problem, auth_headers, staff_token
from tests.clock import FakeClock

UNKNOWN_ID = "00000000-0000-0000-0000-000000000000"
ROUTES = {
    ("GET", "/v1/admin/pledges"): Scope.READ,
    ("GET", "/v1/admin/reminders"): Scope.READ,
    ("GET", "/v1/admin/summary"): Scope.READ,
    ("GET", "/v1/admin/campaigns/<slug>"): Scope.READ,
    ("GET", "/v1/admin/pledges/export"): Scope.EXPORT,
    ("PUT", "/v1/admin/campaigns/<slug>"): Scope.MANAGE,
    ("POST", "/v1/admin/reminders/<uuid:reminder_id>/retry"): Scope.MANAGE,
    ("POST", "/v1/admin/erasures"): Scope.MANAGE,
    ("POST", "/v1/admin/supporters/search"): Scope.MANAGE,
    ("POST", "/v1/admin/supporters/<uuid:supporter_id>/email"): Scope.MANAGE,
    ("GET", "/v1/admin/events"): Scope.READ,
    ("POST", "/v1/admin/events/<uuid:event_id>/apply"): Scope.MANAGE,
    ("POST", "/v1/admin/events/<uuid:event_id>/attach"): Scope.MANAGE,
    ("GET", "/v1/admin/pledges/<uuid:pledge_id>/payments"): Scope.READ,
    ("POST", "/v1/admin/pledges/<uuid:pledge_id>/cancel"): Scope.MANAGE,
    ("POST", "/v1/admin/payments/<uuid:payment_id>/refund"): Scope.MANAGE,
    ("POST", "/v1/admin/payments/<uuid:payment_id>/receipt"): Scope.MANAGE,
    ("GET", "/v1/admin/refunds"): Scope.READ,
    ("DELETE", "/v1/admin/refunds/<uuid:refund_id>"): Scope.MANAGE,
}


def url_for_rule(rule: str) -> str:
    return re.sub(r"<uuid:\w+>", UNKNOWN_ID, rule.replace("<slug>", "default"))


def test_every_staff_route_requires_a_scope(app: Flask) -> None:
    found = {}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/v1/admin"):
            view = app.view_functions[rule.endpoint]
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                # Decorators of flask-smorest preserve the attribute of the wrapped view.
                found[method, rule.rule] = getattr(view, "staff_scope", None)
    assert found == ROUTES


@pytest.mark.parametrize(("method", "rule"), ROUTES, ids=lambda part: part)
def test_staff_route_rejects_invalid_token(
    client: FlaskClient, container: Container, method: str, rule: str
) -> None:
    good = staff_token(container, "read", "export", "manage")
    revoked = staff_token(container, "read", "export", "manage", name="gone")
    with container.database.transaction() as session:
        revoke_staff_token(session, name="gone", now=container.clock())
    for header in (
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer unknown",
        f"Bearer {revoked}",
        f"Bearer {good}x",
        f"Bearer {good[:-1]}",
        f"Bearer {good.upper()}",
        f"Bearer {good}, {good}",
        f"Bearer {good}\0",
        f"Basic {good}",
        f"Token {good}",
        good,
        "Bearer " + "é" * 9,
        "Bearer " + "x" * 9000,
    ):
        headers = {} if header is None else {"Authorization": header.encode().decode("latin-1")}
        response = client.open(
            url_for_rule(rule), method=method, headers=headers, json=None if method == "GET" else {}
        )
        assert_problem(response, 401, "unauthorized")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    # A token must be in the header: in a URL, it would end up in logs and browser histories.
    response = client.open(f"{url_for_rule(rule)}?access_token={good}&token={good}", method=method)
    assert_problem(response, 401, "unauthorized")


@pytest.mark.parametrize(("method", "rule"), ROUTES, ids=lambda part: part)
def test_staff_route_requires_its_scope(client: FlaskClient, container: Container, method: str, rule: str) -> None:
    scope = ROUTES[method, rule]
    others = [other.value for other in Scope if other != scope]
    sent = None if method == "GET" else {}
    refused = client.open(url_for_rule(rule), method=method, headers=auth_headers(container, *others), json=sent)
    assert_problem(refused, 403, "scope_missing", says=scope.value)
    allowed = client.open(url_for_rule(rule), method=method, headers=auth_headers(container, scope), json=sent)
    assert allowed.status_code not in (401, 403)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_bearer_scheme_is_case_insensitive(client: FlaskClient, container: Container, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {staff_token(container, 'read')}"}
    assert client.get("/v1/admin/summary", headers=headers).status_code == 200


def test_unauthorized_response_does_not_reveal_existence(client: FlaskClient) -> None:
    known, unknown = client.get("/v1/admin/campaigns/default"), client.get("/v1/admin/campaigns/none")
    assert known.status_code == unknown.status_code == 401
    retry = client.post(f"/v1/admin/reminders/{uuid.uuid4()}/retry")
    assert retry.status_code == 401


def test_token_is_stored_only_as_hash(client: FlaskClient, container: Container) -> None:
    token = staff_token(container, "read")
    assert len(token) > 40
    with container.database.read_only() as session:
        row = session.execute(text("SELECT * FROM staff_tokens")).one()
    assert token not in str(tuple(row))


def test_last_use_is_recorded_at_most_once_a_minute(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    used, unused = staff_token(container, "read", name="used"), staff_token(container, "read", name="unused")

    def last_uses() -> list[datetime.datetime | None]:
        with container.database.read_only() as session:
            return [token.last_used_at for token in list_staff_tokens(session)]

    def get(token: str = used) -> None:
        response = client.get("/v1/admin/summary", headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == (200 if token == used else 401)

    get(f"{unused}x")
    assert last_uses() == [None, None]
    first = clock()
    get()
    assert last_uses() == [first, None]
    clock.advance(seconds=59)
    get()
    assert last_uses() == [first, None]
    clock.advance(seconds=1)
    get()
    assert last_uses() == [clock(), None]


def test_request_is_answered_although_its_use_cannot_be_recorded(
    client: FlaskClient, container: Container
) -> None:
    headers = auth_headers(container, "read")
    with container.database.transaction() as session:
        session.execute(
            text(
                "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
                "$$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '25006'; END$$"
            )
        )
        session.execute(text("CREATE TRIGGER t BEFORE UPDATE ON staff_tokens EXECUTE FUNCTION fail()"))
    try:
        assert client.get("/v1/admin/summary", headers=headers).status_code == 200
    finally:
        with container.database.transaction() as session:
            session.execute(text("DROP TRIGGER t ON staff_tokens"))
            session.execute(text("DROP FUNCTION fail"))
