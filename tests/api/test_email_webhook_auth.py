"""Authentication of email webhooks, and no echo of their content in responses or logs."""

import dataclasses
import json
import threading

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from jobs.cleanup import purge_reader_data
from service.container import Container
from service.db.models.email import UsedWebhookProof
from service.settings import Settings
from service.web import init_app
from tests.api.client import assert_problem, count
from tests.api.email_webhook_payloads import (
    KEY,
    MAILGUN,
    POSTMARK,
    all_suppressions,
    basic_auth_header,
    bounce,
    event,
    failure,
    post_mailgun,
    post_postmark,
    signature,
)
from tests.clock import FakeClock
from tests.conftest import settings_for


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    """Return settings with the credentials of both services."""
    return settings_for(migrated_database, POSTMARK_WEBHOOK_LOGIN="desk:a long pass:word", MAILGUN_WEBHOOK_KEY=KEY)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        basic_auth_header("desk:a long pass:wor"),
        basic_auth_header("desk:"),
        basic_auth_header("other:a long pass:word"),
        {"Authorization": basic_auth_header()["Authorization"].replace("Basic", "Bearer")},
        {"Authorization": "Basic"},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic é"},
    ],
    ids=range(8),
)
def test_wrong_postmark_credentials_are_challenged(
    client: FlaskClient, container: Container, headers: dict[str, str]
) -> None:
    refused = post_postmark(client, bounce(), **headers)
    assert_problem(refused, 401, "invalid_signature")
    assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert all_suppressions(container) == []


def test_basic_scheme_is_case_insensitive(client: FlaskClient) -> None:
    header = basic_auth_header()["Authorization"].replace("Basic", "basic")
    assert post_postmark(client, bounce(), Authorization=header).status_code == 200


@pytest.mark.parametrize("seconds", [0, 600, 8 * 3600, -60])
def test_mailgun_signature_is_valid_during_its_retries(
    client: FlaskClient, container: Container, seconds: int
) -> None:
    assert post_mailgun(client, container, failure(), age_seconds=seconds).status_code == 200


@pytest.mark.parametrize(
    "proof",
    [{"key": "another key"}, {"age_seconds": 10 * 3600}, {"age_seconds": -3600}, {"age_seconds": 10**9}],
    ids=str,
)
def test_foreign_or_expired_mailgun_signature_is_rejected(
    client: FlaskClient, container: Container, proof: dict[str, object]
) -> None:
    refused = post_mailgun(client, container, failure(), **proof)
    assert_problem(refused, 401, "invalid_signature")
    assert "WWW-Authenticate" not in refused.headers
    assert all_suppressions(container) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"token": "f" * 50},
        {"timestamp": "1795426201"},
        {"timestamp": "nan"},
        {"timestamp": "9" * 30},
        {"timestamp": ""},
        {"signature": ""},
        {"signature": "é"},
        {"signature": "0" * 64},
    ],
    ids=str,
)
def test_altered_mailgun_signature_is_rejected(
    client: FlaskClient, container: Container, changes: dict[str, str]
) -> None:
    body = {"signature": signature(container) | changes, "event-data": failure()}
    assert_problem(client.post(MAILGUN, json=body), 401, "invalid_signature")
    assert all_suppressions(container) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff",
        b"{}",
        b"[" * 9000,
        b'{"signature": 1, "event-data": 2, "RecordType": 3}',
    ],
    ids=repr,
)
@pytest.mark.parametrize("path", [POSTMARK, MAILGUN])
def test_malformed_email_webhook_is_rejected(
    client: FlaskClient, container: Container, path: str, body: bytes
) -> None:
    assert_problem(client.post(path, data=body, headers=basic_auth_header()), 400, "unreadable_report")
    assert all_suppressions(container) == []


def test_email_webhook_without_credentials_is_not_found(
    client: FlaskClient, app: Flask, container: Container
) -> None:
    init_app(app, dataclasses.replace(container, email_webhooks={}))
    for path in (POSTMARK, MAILGUN, "/v1/webhooks/mail/none"):
        assert_problem(client.post(path, data=json.dumps(bounce()), headers=basic_auth_header()), 404, "not_found")


def test_email_webhook_accepts_only_post(client: FlaskClient) -> None:
    assert_problem(client.get(POSTMARK), 405, "method_not_allowed")


def test_email_webhook_content_is_neither_logged_nor_echoed(
    client: FlaskClient, container: Container, capfd: pytest.CaptureFixture[str]
) -> None:
    responses = [
        post_postmark(client, bounce()),
        post_postmark(client, bounce(), Authorization="Basic reader@example.org"),
        post_mailgun(client, container, event("complained")),
        post_mailgun(client, container, event("complained"), key="another"),
        client.post(POSTMARK, data=b'{"Email": "reader@example.org"}', headers=basic_auth_header()),
        client.post(MAILGUN, data=b'{"recipient": "reader@example.org", "signature": {}}'),
    ]
    assert [response.status_code for response in responses] == [200, 401, 200, 401, 400, 400]
    output = "".join(capfd.readouterr()) + "".join(response.text for response in responses)
    assert "/v1/webhooks/mail/<service>" in output
    for secret in ("reader", "example.org", "a long pass", KEY):
        assert secret not in output


def post_proof(client: FlaskClient, proof: dict[str, str], event_data: dict[str, object]) -> TestResponse:
    return client.post(MAILGUN, json={"signature": proof, "event-data": event_data})


@pytest.mark.parametrize(
    "changes",
    [
        {"recipient": "victim@example.org"},
        {"event": "complained"},
        {"event": "unsubscribed", "recipient": "victim@example.org"},
        {"timestamp": 1795426201},
    ],
    ids=str,
)
def test_mailgun_proof_counts_for_one_report_only(
    client: FlaskClient, container: Container, changes: dict[str, object]
) -> None:
    proof = signature(container)
    assert post_proof(client, proof, failure()).status_code == 200
    [suppressed] = all_suppressions(container)
    assert_problem(post_proof(client, proof, failure() | changes), 401, "invalid_signature")
    [still_suppressed] = all_suppressions(container)
    assert (still_suppressed.email_hash, still_suppressed.reason) == (suppressed.email_hash, suppressed.reason)
    # Mailgun repeats a report until it is answered.
    assert post_proof(client, proof, failure()).status_code == 200


def test_mailgun_proof_of_a_report_without_effect_is_used_up_too(
    client: FlaskClient, container: Container
) -> None:
    proof = signature(container)
    assert post_proof(client, proof, failure() | {"event": "delivered"}).json == {"suppressed": 0}
    assert_problem(post_proof(client, proof, failure()), 401, "invalid_signature")
    assert all_suppressions(container) == []


def test_expired_mailgun_proofs_are_purged(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    post_proof(client, signature(container), failure())
    clock.advance(hours=8)
    purge_reader_data(container, threading.Event())
    assert count(container, UsedWebhookProof) == 1
    clock.advance(hours=2)
    purge_reader_data(container, threading.Event())
    assert count(container, UsedWebhookProof) == 0


@pytest.mark.parametrize(
    "text", ["a\0b@example.org", "\ud800@example.org", "a@exam\udfffple.org", "\0", "a\ud800"]
)
def test_characters_that_cannot_be_stored_are_no_server_error(
    client: FlaskClient, container: Container, text: str
) -> None:
    for response in (
        post_proof(client, signature(container), failure() | {"recipient": text}),
        post_proof(client, signature(container) | {"token": text}, failure()),
        post_postmark(client, bounce() | {"Email": text}),
    ):
        assert response.status_code in (200, 400, 401), response.text
    assert all_suppressions(container) == []
