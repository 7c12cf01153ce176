"""Webhooks of SendGrid: the signature and its time, batches, and what suppresses an address."""

import base64
import datetime
import json
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient

from schemas.enums import SuppressionReason
from service.container import Container
from service.db.clock import utc_now
from service.gateways.email_webhooks import configured_providers
from service.setting_values import SettingsError
from service.settings import Settings
from tests.api.client import assert_problem
from tests.api.email_webhook_payloads import READER, all_suppressions, suppressions_for
from tests.api.sendgrid import (
    SENDGRID,
    SIGNATURE,
    TIMESTAMP,
    post_sendgrid,
    sendgrid_bounce,
    sendgrid_event,
    signed_headers,
    verification_key,
)
from tests.conftest import settings_for
from tests.processes import web

HARD, COMPLAINT, UNSUBSCRIBE = (
    SuppressionReason.HARD_BOUNCE,
    SuppressionReason.COMPLAINT,
    SuppressionReason.UNSUBSCRIBE,
)


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    """Return settings with SendGrid's key."""
    return settings_for(migrated_database, SENDGRID_WEBHOOK_KEY=verification_key())


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (sendgrid_bounce(), HARD),
        (sendgrid_bounce(type=None), HARD),
        (sendgrid_bounce(type="blocked"), None),
        (sendgrid_bounce(type="expired"), None),
        (sendgrid_event("spamreport"), COMPLAINT),
        (sendgrid_event("unsubscribe"), UNSUBSCRIBE),
        (sendgrid_event("group_unsubscribe", asm_group_id=10), UNSUBSCRIBE),
        (sendgrid_event("dropped", reason="Bounced Address"), HARD),
        (sendgrid_event("dropped", reason="Invalid"), HARD),
        (sendgrid_event("dropped", reason="Spam Reporting Address"), COMPLAINT),
        (sendgrid_event("dropped", reason="Unsubscribed Address"), UNSUBSCRIBE),
        (sendgrid_event("dropped", reason="Spam Content"), None),
        (sendgrid_event("dropped", reason="Invalid SMTPAPI header"), None),
        (sendgrid_event("dropped", reason="Recipient List over Package Quota"), None),
        (sendgrid_event("dropped"), None),
        (sendgrid_event("dropped", reason=None), None),
        (sendgrid_event("deferred", response="400 try again later", attempt="5"), None),
        (sendgrid_event("group_resubscribe"), None),
        (sendgrid_event("processed"), None),
        (sendgrid_event("delivered"), None),
        (sendgrid_event("open"), None),
        (sendgrid_event("click", url="https://news.example"), None),
        (sendgrid_event("account_status_change", type="compliance_suspend"), None),
        (sendgrid_event("something_new"), None),
        (sendgrid_bounce(email=None), None),
        (sendgrid_bounce(email=""), None),
        (sendgrid_bounce(email="not an email address"), None),
        (sendgrid_bounce(email="a\0b@example.org"), None),
        (sendgrid_bounce(email="\ud800@example.org"), None),
        # What does not fit is left out of a batch.
        (sendgrid_bounce(email=7), None),
        (sendgrid_bounce(email=[READER]), None),
        (sendgrid_bounce(event=None), None),
        (sendgrid_bounce(timestamp="yesterday"), None),
        ({}, None),
        ({"email": READER}, None),
        (None, None),
        (READER, None),
        ([sendgrid_bounce()], None),
    ],
    ids=lambda part: json.dumps(part)[-120:],
)
def test_sendgrid_event_suppresses_address(
    client: FlaskClient, container: Container, report: object, reason: SuppressionReason | None
) -> None:
    response = post_sendgrid(client, container, [report])
    assert (response.status_code, response.json) == (200, {"suppressed": 0 if reason is None else 1})
    assert suppressions_for(container) == ({} if reason is None else {"*": reason})


def test_every_event_of_a_batch_counts(client: FlaskClient, container: Container) -> None:
    batch = [
        sendgrid_event("delivered"),
        sendgrid_bounce(email="a@example.org"),
        {"event": 5},
        sendgrid_event("spamreport", email="b@example.org"),
        sendgrid_bounce(email="nobody"),
        sendgrid_event("unsubscribe", email="c@example.org"),
        sendgrid_bounce(email="a@example.org"),
    ]
    for _ in range(2):
        assert post_sendgrid(client, container, batch).json == {"suppressed": 4}
    found = [suppressions_for(container, f"{name}@example.org") for name in "abc"]
    assert found == [{"*": HARD}, {"*": COMPLAINT}, {"*": UNSUBSCRIBE}]
    at = datetime.datetime.fromtimestamp(1795425900, datetime.UTC)
    assert {row.at for row in all_suppressions(container)} == {at}


@pytest.mark.parametrize("timestamp", [None, 1e300, -1e300, 0, 4e9])
def test_sendgrid_event_with_impossible_time_counts_as_now(
    client: FlaskClient, container: Container, timestamp: float | None
) -> None:
    assert post_sendgrid(client, container, [sendgrid_bounce(timestamp=timestamp)]).json == {"suppressed": 1}
    assert [row.at for row in all_suppressions(container)] == [container.clock()]


def test_empty_batch_changes_nothing(client: FlaskClient, container: Container) -> None:
    assert post_sendgrid(client, container, []).json == {"suppressed": 0}


def test_single_event_is_read_too(client: FlaskClient, container: Container) -> None:
    assert post_sendgrid(client, container, sendgrid_bounce()).json == {"suppressed": 1}


@pytest.mark.parametrize("hours", [0, 1, 24, -1 / 60, -4 / 60])
def test_sendgrid_signature_is_valid_during_its_retries(
    client: FlaskClient, container: Container, hours: float
) -> None:
    assert post_sendgrid(client, container, [sendgrid_bounce()], age_seconds=hours * 3600).status_code == 200


@pytest.mark.parametrize(
    "proof",
    [
        {"number": 1},
        {"age_seconds": 26 * 3600},
        {"age_seconds": 10**9},
        {"age_seconds": -360},
        {"age_seconds": -(10**9)},
        {"timestamp": "nan"},
        {"timestamp": "inf"},
        {"timestamp": "9" * 30},
        {"timestamp": "yesterday"},
    ],
    ids=str,
)
def test_foreign_or_expired_sendgrid_signature_is_rejected(
    client: FlaskClient, container: Container, proof: dict[str, Any]
) -> None:
    refused = post_sendgrid(client, container, [sendgrid_bounce()], **proof)
    assert_problem(refused, 401, "invalid_signature")
    assert "WWW-Authenticate" not in refused.headers
    assert all_suppressions(container) == []


@pytest.mark.parametrize(
    "headers",
    [
        {SIGNATURE: ""},
        {SIGNATURE: "%%%"},
        {SIGNATURE: "é"},
        {SIGNATURE: base64.b64encode(b"x" * 70).decode()},
        {SIGNATURE: base64.b64encode(b"").decode()},
        {TIMESTAMP: ""},
        {TIMESTAMP: "é"},
        {TIMESTAMP: "1795426201"},
    ],
    ids=str,
)
def test_altered_sendgrid_headers_are_rejected(
    client: FlaskClient, container: Container, headers: dict[str, str]
) -> None:
    body = json.dumps([sendgrid_bounce()]).encode()
    refused = client.post(SENDGRID, data=body, headers=signed_headers(body, container.clock()) | headers)
    assert_problem(refused, 401, "invalid_signature")


@pytest.mark.parametrize("name", [SIGNATURE, TIMESTAMP])
def test_missing_sendgrid_header_is_rejected(client: FlaskClient, container: Container, name: str) -> None:
    body = json.dumps([sendgrid_bounce()]).encode()
    headers = signed_headers(body, container.clock())
    del headers[name]
    assert_problem(client.post(SENDGRID, data=body, headers=headers), 401, "invalid_signature")


def test_signature_covers_every_byte_of_the_body(client: FlaskClient, container: Container) -> None:
    body = json.dumps([sendgrid_bounce()]).encode()
    headers = signed_headers(body, container.clock())
    for altered in (body + b"\n", body.replace(b", ", b","), body.replace(b"reader", b"victim"), body[:-1], b""):
        assert_problem(client.post(SENDGRID, data=altered, headers=headers), 401, "invalid_signature")
    assert all_suppressions(container) == []
    assert client.post(SENDGRID, data=body, headers=headers).status_code == 200


def test_digits_cannot_move_between_the_time_and_the_body(client: FlaskClient, container: Container) -> None:
    # What is signed is the time directly before the body, so that a time one digit shorter signs the same text.
    body = b"[]"
    headers = signed_headers(body, container.clock())
    shorter = headers | {TIMESTAMP: headers[TIMESTAMP][:-1]}
    moved = headers[TIMESTAMP][-1:].encode() + body
    assert_problem(client.post(SENDGRID, data=moved, headers=shorter), 401, "invalid_signature")


@pytest.mark.parametrize(
    "body", [b"", b"{", b'"text"', b"null", b"5", b"\xff", b"{}", b"[" * 9000], ids=lambda body: body[:9]
)
def test_body_that_is_not_of_sendgrid_is_rejected(client: FlaskClient, container: Container, body: bytes) -> None:
    assert_problem(post_sendgrid(client, container, body), 400, "unreadable_report")
    # What nobody signed is not even parsed.
    assert_problem(client.post(SENDGRID, data=body), 401, "invalid_signature")


def test_concurrent_batches_in_other_spellings_do_not_deadlock(app: Flask, container: Container) -> None:
    # As they are spelled, the batches would lock the same addresses in opposite orders.
    count = 150
    first = [sendgrid_bounce(email=f"{name}{number}@example.org") for name in "ab" for number in range(count)]
    other = [sendgrid_bounce(email=f"{name}{number}@example.org") for name in "aB" for number in range(count)]
    start, responses = threading.Barrier(2), []

    def post(batch: list[dict[str, Any]]) -> None:
        client = app.test_client()
        start.wait()
        responses.append(post_sendgrid(client, container, batch))

    threads = [threading.Thread(target=post, args=(batch,)) for batch in (first, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(response.status_code, response.json) for response in responses] == [
        (200, {"suppressed": 2 * count})
    ] * 2
    assert len(all_suppressions(container)) == 2 * count


def test_largest_batch_is_read_by_a_real_server(
    container: Container, migrated_database: str, tmp_path: Path
) -> None:
    body = json.dumps([sendgrid_bounce(email=f"reader{number}@example.org") for number in range(2600)]).encode()
    # SendGrid sends a batch when it has 768 KiB, or sooner.
    assert 768 * 1024 < len(body) < 1024 * 1024
    with web(migrated_database, tmp_path / "log", SENDGRID_WEBHOOK_KEY=verification_key()) as origin:
        request = urllib.request.Request(f"{origin}{SENDGRID}", body, signed_headers(body, utc_now()))
        with urllib.request.urlopen(request, timeout=300) as response:
            assert json.load(response) == {"suppressed": 2600}
    assert len(all_suppressions(container)) == 2600


def test_body_over_the_limit_is_rejected(client: FlaskClient, container: Container) -> None:
    batch = b"[" + b" " * (1024 * 1024 - 2) + b"]"
    assert post_sendgrid(client, container, batch).status_code == 200
    too_large = post_sendgrid(client, container, batch + b" ")
    assert_problem(too_large, 413, "body_too_large")
    assert "1024 KiB" in too_large.json["detail"]


def test_sendgrid_event_is_neither_logged_nor_echoed(
    client: FlaskClient, container: Container, capfd: pytest.CaptureFixture[str]
) -> None:
    responses = [
        post_sendgrid(client, container, [sendgrid_bounce()]),
        post_sendgrid(client, container, [sendgrid_bounce()], number=1),
        post_sendgrid(client, container, b'{"email": "reader@example.org"}'),
    ]
    assert [response.status_code for response in responses] == [200, 401, 400]
    output = "".join(capfd.readouterr()) + "".join(response.text for response in responses)
    for secret in ("reader", "example.org", verification_key()):
        assert secret not in output


def test_sendgrid_exists_only_with_its_setting(settings: Settings) -> None:
    assert set(configured_providers(settings.mail)) == {"sendgrid"}


@pytest.mark.parametrize(
    "key",
    [
        "key",
        "MFkw",
        verification_key()[:-4],
        verification_key(ec.generate_private_key(ec.SECP384R1())),
        base64.b64encode(base64.b64decode(verification_key())[:-1] + b"\0").decode(),
        f"-----BEGIN PUBLIC KEY-----{verification_key()}",
    ],
    ids=lambda key: key[:12],
)
def test_wrong_sendgrid_key_stops_the_start(migrated_database: str, key: str) -> None:
    with pytest.raises(SettingsError, match="SENDGRID_WEBHOOK_KEY must be the verification key"):
        settings_for(migrated_database, SENDGRID_WEBHOOK_KEY=key)
