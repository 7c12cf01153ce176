"""Webhooks of Brevo: the token, and what suppresses an address."""

import base64
import datetime
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from schemas.enums import SuppressionReason
from service.container import Container
from service.gateways.email_webhooks import configured_providers
from service.settings import Settings
from tests.api.client import assert_problem
from tests.api.email_webhook_payloads import READER, all_suppressions, basic_auth_header, suppressions_for
from tests.conftest import settings_for

BREVO = "/v1/webhooks/mail/brevo"
TOKEN = "a-token-that-only:the-tests-know"
HARD, COMPLAINT, UNSUBSCRIBE = (
    SuppressionReason.HARD_BOUNCE,
    SuppressionReason.COMPLAINT,
    SuppressionReason.UNSUBSCRIBE,
)


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    """Return settings with Brevo's token."""
    return settings_for(migrated_database, BREVO_WEBHOOK_TOKEN=TOKEN)


def brevo_event(name: str, **changes: Any) -> dict[str, Any]:
    """Return an event (https://developers.brevo.com/docs/transactional-webhooks)."""
    return {
        "event": name,
        "email": READER,
        "id": 26224,
        "date": "2026-11-23 10:25:00",
        "ts": 1795425900,
        "message-id": "<201798300811.5787683@relay.domain.com>",
        "ts_event": 1795425900,
        "ts_epoch": 1795425800123,
        "subject": "You asked us to remind you",
        "reason": "550 5.1.1 no such user",
        "sending_ip": "xxx.xxx.xxx.xxx",
        "template_id": 22,
        "tags": ["transac_messages"],
    } | changes


def post_brevo(client: FlaskClient, content: object, authorization: str = f"Bearer {TOKEN}") -> TestResponse:
    body = content if isinstance(content, bytes) else json.dumps(content)
    return client.post(BREVO, data=body, headers={"Authorization": authorization})


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (brevo_event("hard_bounce"), HARD),
        (brevo_event("invalid_email"), HARD),
        (brevo_event("spam"), COMPLAINT),
        (brevo_event("complaint"), COMPLAINT),
        (brevo_event("unsubscribed"), UNSUBSCRIBE),
        (brevo_event("unsubscribe"), UNSUBSCRIBE),
        (brevo_event("soft_bounce"), None),
        (brevo_event("deferred"), None),
        (brevo_event("blocked"), None),
        (brevo_event("error"), None),
        (brevo_event("request"), None),
        (brevo_event("delivered"), None),
        (brevo_event("opened"), None),
        (brevo_event("unique_opened"), None),
        (brevo_event("click", link="https://news.example"), None),
        (brevo_event("something_new"), None),
        (brevo_event("hard_bounce", email=None), None),
        (brevo_event("hard_bounce", email=""), None),
        (brevo_event("hard_bounce", email="nobody"), None),
        (brevo_event("hard_bounce", email="a\0b@example.org"), None),
        ({"event": "hard_bounce"}, None),
    ],
    ids=lambda part: f"{part['event']} {part.get('email')!r}" if isinstance(part, dict) else str(part),
)
def test_brevo_event_suppresses_address(
    client: FlaskClient, container: Container, report: dict[str, Any], reason: SuppressionReason | None
) -> None:
    for content in (report, [report]):
        response = post_brevo(client, content)
        assert (response.status_code, response.json) == (200, {"suppressed": 0 if reason is None else 1})
        assert suppressions_for(container) == ({} if reason is None else {"*": reason})


def test_brevo_batch_leaves_out_what_does_not_fit(client: FlaskClient, container: Container) -> None:
    batch = [
        brevo_event("delivered"),
        brevo_event("hard_bounce", email="a@example.org"),
        None,
        READER,
        {},
        brevo_event("hard_bounce", email=7),
        brevo_event("hard_bounce", ts_event="yesterday"),
        brevo_event("spam", email="b@example.org"),
    ]
    for _ in range(2):
        assert post_brevo(client, batch).json == {"suppressed": 2}
    found = [suppressions_for(container, f"{name}@example.org") for name in "ab"]
    assert found == [{"*": HARD}, {"*": COMPLAINT}]


def test_brevo_event_counts_from_when_it_happened(client: FlaskClient, container: Container) -> None:
    post_brevo(client, brevo_event("spam"))
    at = datetime.datetime.fromtimestamp(1795425900, datetime.UTC)
    assert [row.at for row in all_suppressions(container)] == [at]


@pytest.mark.parametrize("ts_event", [None, 0, 1e300, 4e9])
def test_brevo_event_with_impossible_time_counts_as_now(
    client: FlaskClient, container: Container, ts_event: float | None
) -> None:
    post_brevo(client, brevo_event("spam", ts_event=ts_event))
    assert [row.at for row in all_suppressions(container)] == [container.clock()]


@pytest.mark.parametrize(
    "authorization",
    [
        f"Bearer {TOKEN}",
        f"bearer {TOKEN}",
        f"Bearer  {TOKEN} ",
        basic_auth_header(f"mainstay:{TOKEN}")["Authorization"],
        basic_auth_header(f":{TOKEN}")["Authorization"],
        basic_auth_header(f"anyone:{TOKEN}")["Authorization"].replace("Basic", "basic"),
    ],
)
def test_brevo_token_is_taken_as_bearer_or_password(client: FlaskClient, authorization: str) -> None:
    assert post_brevo(client, brevo_event("spam"), authorization).json == {"suppressed": 1}


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        "Bearer é",
        f"Token {TOKEN}",
        f"Basic {TOKEN}",
        "Basic %%%",
        basic_auth_header(TOKEN)["Authorization"],
        basic_auth_header(f"{TOKEN}:")["Authorization"],
        basic_auth_header(f"mainstay:{TOKEN}x")["Authorization"],
        f"Bearer {base64.b64encode(TOKEN.encode()).decode()}",
    ],
)
def test_wrong_brevo_token_is_challenged(client: FlaskClient, container: Container, authorization: str) -> None:
    refused = post_brevo(client, brevo_event("spam"), authorization)
    assert_problem(refused, 401, "invalid_signature")
    assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
    # A token in the address would be in the logs of every proxy.
    assert client.post(f"{BREVO}?token={TOKEN}", json=brevo_event("spam")).status_code == 401
    assert all_suppressions(container) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'"text"', b"null", b"5", b"\xff", b"{}", b'{"event": 5}', b"[" * 9000],
    ids=lambda body: body[:9],
)
def test_body_that_is_not_of_brevo_is_rejected(client: FlaskClient, body: bytes) -> None:
    assert_problem(post_brevo(client, body), 400, "unreadable_report")


def test_brevo_event_is_neither_logged_nor_echoed(client: FlaskClient, capfd: pytest.CaptureFixture[str]) -> None:
    responses = [
        post_brevo(client, brevo_event("spam")),
        post_brevo(client, brevo_event("spam"), f"Bearer {TOKEN}x"),
        post_brevo(client, {"email": READER}),
    ]
    assert [response.status_code for response in responses] == [200, 401, 400]
    output = "".join(capfd.readouterr()) + "".join(response.text for response in responses)
    for secret in ("reader", "example.org", TOKEN):
        assert secret not in output


def test_brevo_exists_only_with_its_setting(settings: Settings) -> None:
    assert set(configured_providers(settings.mail)) == {"brevo"}
    assert TOKEN not in repr(settings)
