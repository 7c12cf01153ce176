"""Every client error is a problem (RFC 9457), on every route."""

import json
import time

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.app import MAX_BODY_BYTES
from service.container import Container
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from tests.api.client import (
    PLEDGE,
    assert_problem,
    auth_headers,
    count,
    new_idempotency_key,
    post_pledge,
    post_reminder,
)

UNKNOWN_ID = "00000000-0000-0000-0000-000000000000"
BODIES = (
    "/v1/pledges",
    "/v1/reminders",
    "/v1/admin/erasures",
    "/v1/admin/campaigns/default",
    "/v1/reminders/x/snooze",
)


def send(client: FlaskClient, container: Container, path: str, data: bytes, **headers: str):
    method = client.put if "campaigns" in path else client.post
    sent = (
        auth_headers(container, "manage")
        | {"Idempotency-Key": new_idempotency_key(), "Content-Type": "application/json"}
        | headers
    )
    return method(path, data=data, headers={name: value for name, value in sent.items() if value})


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"{'campaign': 'default'}",
        b"\xff\xfe{}",
        b'{"campaign": "\xe9"}',
        '{"campaign": "default"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"campaign": "default"}',
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": -Infinity}',
        b'{"amount": 0200}',
        b"{} {}",
        b"\x00",
        b"[" * 60_000,
        b'{"a":' * 12_000,
    ],
    ids=lambda data: data[:16].decode("latin-1").encode("unicode_escape").decode(),
)
def test_invalid_json_is_rejected(client: FlaskClient, container: Container, path: str, data: bytes) -> None:
    assert_problem(send(client, container, path, data), 400, "invalid_json")


@pytest.mark.parametrize(
    "path", ["/v1/pledges", "/v1/reminders", "/v1/admin/erasures", "/v1/admin/campaigns/default"]
)
def test_empty_body_is_rejected_if_required(client: FlaskClient, container: Container, path: str) -> None:
    assert_problem(send(client, container, path, b""), 400, "invalid_json")
    assert_problem(send(client, container, path, b"", **{"Content-Type": ""}), 400, "invalid_json")


@pytest.mark.parametrize("data", [b"[]", b'"x"', b"1", b"true", b"null", b"[[1]]"])
@pytest.mark.parametrize("path", BODIES)
def test_json_that_is_not_an_object_is_rejected(
    client: FlaskClient, container: Container, path: str, data: bytes
) -> None:
    assert_problem(send(client, container, path, data), 422, "validation_failed", field="body")


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", "nonsense"]
)
def test_other_content_type_is_rejected(client: FlaskClient, container: Container, path: str, kind: str) -> None:
    response = send(client, container, path, json.dumps(PLEDGE).encode(), **{"Content-Type": kind})
    assert_problem(response, 415, "unsupported_media_type")
    assert count(container, Pledge) == 0


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json"]
)
def test_json_content_type_variants_are_accepted(client: FlaskClient, container: Container, kind: str) -> None:
    response = send(client, container, "/v1/pledges", json.dumps(PLEDGE).encode(), **{"Content-Type": kind})
    assert response.status_code == 201


def padded(size: int) -> bytes:
    """Return a pledge request of exactly this many bytes."""
    body = json.dumps(PLEDGE).encode()
    return body + b" " * (size - len(body))


def test_body_limit_is_64_kib(client: FlaskClient, container: Container) -> None:
    assert send(client, container, "/v1/pledges", padded(MAX_BODY_BYTES)).status_code == 201
    assert_problem(send(client, container, "/v1/pledges", padded(MAX_BODY_BYTES + 1)), 413, "body_too_large")
    assert count(container, Pledge) == 1


@pytest.mark.parametrize("path", [*BODIES, "/v1/reminders/x/cancel"])
def test_every_route_rejects_body_over_64_kib(client: FlaskClient, container: Container, path: str) -> None:
    assert_problem(send(client, container, path, padded(MAX_BODY_BYTES + 1)), 413, "body_too_large")
    assert_problem(
        send(client, container, path, padded(MAX_BODY_BYTES + 1), **{"Content-Type": "text/plain"}),
        413,
        "body_too_large",
    )


def test_body_limit_of_stripe_webhook_is_1_mib(client: FlaskClient) -> None:
    accepted = client.post("/v1/webhooks/stripe", data=b"x" * 1024 * 1024)
    assert_problem(accepted, 400, "invalid_signature")
    assert_problem(client.post("/v1/webhooks/stripe", data=b"x" * (1024 * 1024 + 1)), 413, "body_too_large")


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v2/pledges",
        "/v1/pledges/",
        "/v1/pledges/not-an-id",
        "/v1/pledges/00000000-0000-0000-0000-00000000000",
        "/v1/campaigns",
        "/v1/campaigns/default/",
        "/v1/campaigns/a/b",
        "//v1/campaigns/default",
        "/v1//campaigns/default",
        "/v1/../v1/campaigns/default",
        "/v1/campaigns/default%00",
        "/v1/campaigns/%ff%fe",
        "/v1/campaigns/%F0%9F%92%A9",
        "/v1/campaigns/" + "a" * 3000,
        "/v1/campaigns/default'--",
        "/.env",
        "/favicon.txt",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
def test_not_found_is_a_problem(client: FlaskClient, method: str, path: str) -> None:
    response = client.open(path, method=method)
    assert response.status_code in (404, 405), response.text
    assert response.content_type == "application/problem+json"
    assert response.headers["X-Request-Id"]
    if method == "HEAD":
        assert response.data == b""
    else:
        assert response.get_json(force=True)["status"] == response.status_code


def test_unknown_pledge_is_not_found(client: FlaskClient) -> None:
    assert_problem(client.get(f"/v1/pledges/{UNKNOWN_ID}"), 404, "pledge_not_found")


def test_method_not_allowed_names_allowed_methods(app: Flask, client: FlaskClient) -> None:
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/v1/"):
            continue
        _, path = rule.build(dict.fromkeys(rule.arguments, UNKNOWN_ID), append_unknown=False)
        taken = set().union(*(other.methods for other in app.url_map.iter_rules() if other.rule == rule.rule))
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - taken:
            response = client.open(path, method=method)
            assert_problem(response, 405, "method_not_allowed")
            assert {"GET", "POST", "PUT"} & taken <= set(response.headers["Allow"].replace(" ", "").split(","))


def test_every_response_has_request_id_and_echoes_a_valid_one(client: FlaskClient) -> None:
    for path in ("/healthz", "/v1/campaigns/default", "/v1/nothing", "/openapi.json"):
        first, second = client.get(path), client.get(path)
        assert len(first.headers["X-Request-Id"]) >= 8
        assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    given = client.get("/v1/nothing", headers={"X-Request-Id": "trace-0123456789"})
    assert given.headers["X-Request-Id"] == "trace-0123456789"
    for invalid in ("short", "with space 12345", "ünsound-12345", "x" * 129, "a\tb-1234567"):
        assert client.get("/v1/nothing", headers={"X-Request-Id": invalid}).headers["X-Request-Id"] != invalid


@pytest.mark.parametrize("path", ["/v1/campaigns/default", "/v1/campaigns/none", "/healthz", "/openapi.json"])
def test_head_returns_get_headers_without_body(client: FlaskClient, path: str) -> None:
    get, head = client.get(path), client.head(path)
    assert head.data == b""
    assert head.status_code == get.status_code
    for name in ("Content-Type", "Content-Length", "ETag", "Cache-Control"):
        assert head.headers.get(name) == get.headers.get(name)


def test_unknown_field_error_suggests_closest_name(client: FlaskClient, container: Container) -> None:
    problem = assert_problem(post_pledge(client, ammount=300), 422, "validation_failed", field="ammount")
    assert "did you mean 'amount'?" in problem["errors"]["ammount"][0]
    problem = assert_problem(post_reminder(client, e_mail="x"), 422, "validation_failed", field="e_mail")
    assert "did you mean 'email'?" in problem["errors"]["e_mail"][0]
    assert count(container, Pledge) == count(container, Reminder) == 0


def test_ten_thousand_unknown_fields_are_rejected_quickly(client: FlaskClient, container: Container) -> None:
    body = json.dumps({f"{number:05}": 0 for number in range(5_900)}, separators=(",", ":")).encode()
    assert len(body) <= MAX_BODY_BYTES
    began = time.process_time()
    assert_problem(send(client, container, "/v1/pledges", body), 422, "validation_failed")
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("campaign", None),
        ("campaign", 1),
        ("campaign", ["default"]),
        ("campaign", {"slug": "default"}),
        ("campaign", ""),
        ("campaign", "de\u0000fault"),
        ("campaign", "\ud800"),
        ("campaign", "x" * 65),
        ("frequency", None),
        ("frequency", "weekly"),
        ("frequency", "MONTHLY"),
        ("frequency", 1),
        ("frequency", []),
        ("frequency", {}),
        ("currency", "usd"),
        ("currency", "US"),
        ("currency", "XXXX"),
        ("currency", "ZZZ"),
        ("currency", 840),
        ("currency", None),
        ("page_url", "javascript:alert(1)"),
        ("page_url", "//paper.example"),
        ("page_url", "paper.example"),
        ("page_url", "https://"),
        ("page_url", "https://paper.example/" + "a" * 2048),
        ("page_url", "https://paper.example/\n"[:-1] + "a\nb"),
        ("page_url", "https://[::1"),
        ("page_url", "https://paper.example:99999/"),
        ("page_url", None),
        ("variant", ""),
        ("variant", "v" * 65),
        ("variant", "x;=1+1;y"),
        ("variant", "blue green"),
        ("variant", "a,b"),
        ("variant", "a|b"),
        ("variant", "=1"),
        ("variant", "+1"),
        ("variant", "@a"),
        ("variant", "Б"),
        ("variant", "＝1"),
        ("variant", "é"),
        ("variant", "٣"),
        ("variant", "<b>"),
        ("variant", "a\u0000b"),
        ("variant", "\ud83d"),
        ("variant", 7),
        ("lang", "e"),
        ("lang", "en_US"),
        ("lang", "../../etc"),
        ("lang", ["en"]),
    ],
)
def test_each_pledge_field_is_validated(client: FlaskClient, container: Container, name: str, value) -> None:
    assert_problem(post_pledge(client, **{name: value}), 422, "validation_failed", field=name)
    assert count(container, Pledge) == 0
