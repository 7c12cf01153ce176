"""Webhooks of Amazon SES: the signature of SNS, its certificate, the subscription and the reports."""

import base64
import dataclasses
import datetime
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from schemas.enums import SuppressionReason
from service.container import Container
from service.gateways.email_webhooks import configured_providers
from service.gateways.email_webhooks.ses import SesWebhooks
from service.settings import Settings
from service.web import init_app
from tests.api.client import assert_problem
from tests.api.email_webhook_payloads import READER, all_suppressions, suppressions_for
from tests.api.sns import (
    CERTIFICATE_PATH,
    HOST,
    SUBSCRIBE_TARGET,
    TOPIC,
    as_event,
    certificate,
    confirmation,
    notification,
    rsa_key,
    ses_bounce,
    ses_complaint,
    sign,
)
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.gateways.https_server import HttpsTestServer, serve_https

SES = "/v1/webhooks/mail/ses"
HARD, COMPLAINT = SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsTestServer]:
    """Run a server with a certificate for the host of the topic's region."""
    with serve_https(tmp_path_factory.mktemp("sns"), HOST) as server:
        yield server


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    """Return settings with the topic."""
    return settings_for(migrated_database, SES_TOPIC_ARN=TOPIC)


@pytest.fixture
def sns(https: HttpsTestServer, app: Flask, container: Container) -> HttpsTestServer:
    """Return the server with the certificate of SNS on it; the app is led to it."""
    https.may_answer.set()
    https.fallback = (404, b"")
    https.documents = {
        CERTIFICATE_PATH: (200, certificate(container.clock())),
        SUBSCRIBE_TARGET: (200, b"<ConfirmSubscriptionResponse/>"),
    }
    https.requests.clear()
    use_fetcher(app, container, https)
    return https


def use_fetcher(app: Flask, container: Container, server: HttpsTestServer, **options: float) -> None:
    provider = SesWebhooks(TOPIC, server.fetcher(**options))
    init_app(app, dataclasses.replace(container, email_webhooks={"ses": provider}))


@pytest.fixture
def post(client: FlaskClient, sns: HttpsTestServer) -> Callable[[object], TestResponse]:
    """Return a function that posts a message as SNS does."""

    def post(message: object) -> TestResponse:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return client.post(SES, data=body, content_type="text/plain; charset=UTF-8")

    return post


Post = Callable[[object], TestResponse]


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (ses_bounce(), HARD),
        (ses_bounce(bounceSubType="Suppressed"), HARD),
        (ses_bounce(bounceSubType="OnAccountSuppressionList"), HARD),
        (ses_bounce(bounceType="Transient", bounceSubType="MailboxFull"), None),
        (ses_bounce(bounceType="Undetermined", bounceSubType="Undetermined"), None),
        (ses_bounce(bounceType="SomethingNew"), None),
        (ses_bounce(bounceType=None), None),
        (ses_bounce(bounceType=5), None),
        (ses_bounce(bouncedRecipients=[]), None),
        (ses_bounce(bouncedRecipients=None), None),
        (ses_bounce(bouncedRecipients=[{"status": "5.1.1"}]), None),
        (ses_bounce(bouncedRecipients=[{"emailAddress": None}]), None),
        (ses_bounce(bouncedRecipients=[{"emailAddress": 7}]), None),
        (ses_bounce(bouncedRecipients=READER), None),
        (ses_bounce("nobody"), None),
        (ses_bounce("a\0b@example.org"), None),
        (ses_bounce("\ud800@example.org"), None),
        (ses_complaint(), COMPLAINT),
        (ses_complaint(complaintFeedbackType=None), COMPLAINT),
        (ses_complaint(complaintFeedbackType="fraud"), COMPLAINT),
        (ses_complaint(complaintSubType="OnAccountSuppressionList"), COMPLAINT),
        (ses_complaint(complaintFeedbackType="not-spam"), None),
        (ses_complaint(complaintFeedbackType="auth-failure"), None),
        ({"notificationType": "Delivery", "delivery": {"recipients": [READER]}}, None),
        ({"notificationType": "Bounce"}, None),
        ({"notificationType": "Bounce", "bounce": None}, None),
        ({"notificationType": "Bounce", "bounce": READER}, None),
        ({"notificationType": "Complaint", "bounce": ses_bounce()["bounce"]}, None),
        ({"notificationType": ["Bounce"]}, None),
        ({"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "You have subscribed"}, None),
        ({"eventType": "DeliveryDelay", "deliveryDelay": {}}, None),
        ("Successfully validated SNS topic for Amazon SES event publishing.", None),
        ("[]", None),
        ("null", None),
        ("[" * 5000, None),
        ("", None),
    ],
    ids=lambda part: json.dumps(part)[:150] if isinstance(part, dict | str) else None,
)
@pytest.mark.parametrize("as_published", [lambda report: report, as_event], ids=["notification", "event"])
def test_ses_report_suppresses_address(
    post: Post,
    container: Container,
    report: Any,
    reason: SuppressionReason | None,
    as_published: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    content = as_published(report) if isinstance(report, dict) else report
    response = post(sign(notification(content, container.clock())))
    assert (response.status_code, response.json) == (200, {"suppressed": 0 if reason is None else 1})
    assert suppressions_for(container) == ({} if reason is None else {"*": reason})


def test_ses_report_with_several_recipients_suppresses_each(post: Post, container: Container) -> None:
    report = ses_bounce("a@example.org", "nobody", "b@example.org", "A@example.org")
    assert post(sign(notification(report, container.clock()))).json == {"suppressed": 3}
    assert len(all_suppressions(container)) == 2
    at = datetime.datetime(2026, 11, 23, 9, 25, 0, 237000, tzinfo=datetime.UTC)
    assert {row.at for row in all_suppressions(container)} == {at}


@pytest.mark.parametrize("timestamp", [None, "", "yesterday", "2026-11-23T09:25:00", "2031-01-01T00:00:00Z"])
def test_ses_report_with_impossible_time_counts_as_now(
    post: Post, container: Container, timestamp: str | None
) -> None:
    assert post(sign(notification(ses_bounce(timestamp=timestamp), container.clock()))).status_code == 200
    assert [row.at for row in all_suppressions(container)] == [container.clock()]


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"Subject": None}, {"Subject": ""}, {"Subject": "Ünïcode — 你好\nand a second line"}],
    ids=["subject", "no subject", "empty subject", "unicode"],
)
def test_signature_is_verified_in_both_versions(
    post: Post, container: Container, version: str, changes: dict[str, str | None]
) -> None:
    message = notification(ses_bounce(), container.clock(), SignatureVersion=version, **changes)
    assert post(sign(message)).json == {"suppressed": 1}


def test_body_is_read_whatever_its_content_type(
    client: FlaskClient, sns: HttpsTestServer, container: Container
) -> None:
    body = json.dumps(sign(notification(ses_bounce(), container.clock())))
    for content_type in (
        "text/plain; charset=UTF-8",
        "application/json",
        "application/x-www-form-urlencoded",
        None,
    ):
        assert client.post(SES, data=body, content_type=content_type).json == {"suppressed": 1}


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize(
    "changes",
    [
        {"Message": json.dumps(ses_bounce("victim@example.org"))},
        {"MessageId": "other"},
        {"Subject": "other"},
        {"Subject": None},
        {"Timestamp": "2026-11-23T09:29:59.000Z"},
        {"Signature": ""},
        {"Signature": "%%%"},
        {"Signature": "é"},
        {"Signature": base64.b64encode(b"x" * 256).decode()},
        {"Signature": base64.b64encode(b"x").decode()},
        {"SignatureVersion": "3"},
        {"SignatureVersion": ""},
        {"Type": "UnsubscribeConfirmation"},
        {"Type": "Other"},
    ],
    ids=str,
)
def test_altered_message_is_rejected(
    post: Post, container: Container, version: str, changes: dict[str, str | None]
) -> None:
    message = sign(notification(ses_bounce(), container.clock(), SignatureVersion=version))
    altered = {name: value for name, value in (message | changes).items() if value is not None}
    assert_problem(post(altered), 401, "invalid_signature")
    assert all_suppressions(container) == []


def test_signature_of_one_version_does_not_count_as_the_other(post: Post, container: Container) -> None:
    message = sign(notification(ses_bounce(), container.clock(), SignatureVersion="2"))
    assert_problem(post(message | {"SignatureVersion": "1"}), 401, "invalid_signature")


def test_signature_of_another_key_is_rejected(post: Post, container: Container) -> None:
    assert_problem(
        post(sign(notification(ses_bounce(), container.clock()), rsa_key(number=1))), 401, "invalid_signature"
    )
    assert all_suppressions(container) == []


@pytest.mark.parametrize("topic", [f"{TOPIC}2", TOPIC.upper(), TOPIC.replace("eu-west-1", "eu-west-2"), "", "*"])
def test_message_of_another_topic_is_rejected_before_anything_is_fetched(
    post: Post, sns: HttpsTestServer, container: Container, topic: str
) -> None:
    for message in (
        notification(ses_bounce(), container.clock(), TopicArn=topic),
        confirmation(container.clock(), TopicArn=topic),
    ):
        assert_problem(post(sign(message)), 401, "invalid_signature")
    assert sns.requests == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}{CERTIFICATE_PATH}",
        f"HTTPS://{HOST}{CERTIFICATE_PATH}",
        f"https://{HOST.upper()}{CERTIFICATE_PATH}",
        f"https://{HOST}:443{CERTIFICATE_PATH}",
        f"https://{HOST}:8443{CERTIFICATE_PATH}",
        f"https://{HOST}.{CERTIFICATE_PATH}",
        f"https://user@{HOST}{CERTIFICATE_PATH}",
        f"https://user:password@{HOST}{CERTIFICATE_PATH}",
        f"https://evil.example\\@{HOST}{CERTIFICATE_PATH}",
        f"https://{HOST}@evil.example{CERTIFICATE_PATH}",
        f"https://{HOST}.evil.example{CERTIFICATE_PATH}",
        f"https://{HOST}%2eevil.example{CERTIFICATE_PATH}",
        f"https://evil-{HOST}{CERTIFICATE_PATH}",
        f"https://evil.example/{HOST}{CERTIFICATE_PATH}",
        f"https://evil.example#{HOST}{CERTIFICATE_PATH}",
        f"https://sns.s3.amazonaws.com{CERTIFICATE_PATH}",
        f"https://sns.s3-eu-west-1.amazonaws.com{CERTIFICATE_PATH}",
        f"https://sns.us-east-1.amazonaws.com{CERTIFICATE_PATH}",
        f"https://sns.eu-west-1.amazonaws.com.cn{CERTIFICATE_PATH}",
        f"https://sns.amazonaws.com{CERTIFICATE_PATH}",
        f"https://sqs.eu-west-1.amazonaws.com{CERTIFICATE_PATH}",
        f"https://{HOST}/certificate.pem?x=1",
        f"https://{HOST}/certificate.pem#x",
        f"https://{HOST}/?x=.pem",
        f"https://{HOST}/a/../b.pem",
        f"https://{HOST}/..%2fb.pem",
        f"https://{HOST}/certificate.crt",
        f"https://{HOST}/.pem",
        f"https://{HOST}//evil.example/a.pem",
        f"https://{HOST}/a\r\nHost: evil.example\r\n.pem",
        f"https://{HOST}{CERTIFICATE_PATH}\n",
        f"https://{HOST}/{'a' * 3000}.pem",
        f"//{HOST}{CERTIFICATE_PATH}",
        "file:///etc/passwd.pem",
        "https://127.0.0.1/a.pem",
        "https://169.254.169.254/latest/meta-data.pem",
        "https://[::1]/a.pem",
        "",
    ],
)
def test_certificate_is_fetched_from_sns_only(
    post: Post, sns: HttpsTestServer, container: Container, url: str
) -> None:
    sns.fallback = (200, certificate(container.clock()))
    message = sign(notification(ses_bounce(), container.clock(), SigningCertURL=url))
    assert_problem(post(message), 401, "invalid_signature")
    assert sns.requests == []


@pytest.mark.parametrize(
    ("topic", "host"),
    [
        (TOPIC, "sns.eu-west-1.amazonaws.com"),
        ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:a", "sns.us-gov-west-1.amazonaws.com"),
        ("arn:aws-cn:sns:cn-north-1:123456789012:a", "sns.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_host_follows_from_the_topic(
    tmp_path: Path, app: Flask, container: Container, topic: str, host: str
) -> None:
    with serve_https(tmp_path, host) as server:
        server.documents[CERTIFICATE_PATH] = (200, certificate(container.clock()))
        init_app(app, dataclasses.replace(container, email_webhooks={"ses": SesWebhooks(topic, server.fetcher())}))
        url = f"https://{host}{CERTIFICATE_PATH}"
        message = sign(notification(ses_bounce(), container.clock(), TopicArn=topic, SigningCertURL=url))
        assert app.test_client().post(SES, data=json.dumps(message)).json == {"suppressed": 1}
        assert server.requests == [(host, CERTIFICATE_PATH)]


@pytest.mark.parametrize(
    "minutes", [-121, -24 * 60, 6, 24 * 60, -60 * 24 * 365 * 100], ids=lambda minutes: f"{minutes} min"
)
def test_message_of_another_time_is_rejected_before_anything_is_fetched(
    post: Post, sns: HttpsTestServer, container: Container, minutes: int
) -> None:
    sent_at = container.clock() + datetime.timedelta(minutes=minutes)
    assert_problem(post(sign(notification(ses_bounce(), sent_at))), 401, "invalid_signature")
    assert sns.requests == []


@pytest.mark.parametrize(
    "timestamp", ["", "now", "2026-11-23", "2026-11-23T09:30:00", "9" * 40, "0000-00-00T00:00:00Z"]
)
def test_message_without_time_is_rejected(post: Post, container: Container, timestamp: str) -> None:
    message = sign(notification(ses_bounce(), container.clock(), Timestamp=timestamp))
    assert_problem(post(message), 401, "invalid_signature")


@pytest.mark.parametrize("minutes", [-119, -60, 0, 4])
def test_message_is_valid_during_its_retries(post: Post, container: Container, minutes: int) -> None:
    sent_at = container.clock() + datetime.timedelta(minutes=minutes)
    assert post(sign(notification(ses_bounce(), sent_at))).json == {"suppressed": 1}


@pytest.mark.parametrize(
    "days", [{"ends_in": -0.001, "begins_in": -365}, {"begins_in": 0.001}], ids=["expired", "not yet valid"]
)
def test_certificate_counts_only_while_it_is_valid(
    post: Post, sns: HttpsTestServer, container: Container, days: dict[str, float]
) -> None:
    sns.documents[CERTIFICATE_PATH] = (200, certificate(container.clock(), **days))
    assert_problem(post(sign(notification(ses_bounce(), container.clock()))), 401, "invalid_signature")
    assert all_suppressions(container) == []


def test_cached_certificate_expires(
    post: Post, sns: HttpsTestServer, container: Container, clock: FakeClock
) -> None:
    sns.documents[CERTIFICATE_PATH] = (200, certificate(clock(), ends_in=1))
    assert post(sign(notification(ses_bounce(), clock()))).status_code == 200
    clock.advance(days=2)
    assert_problem(post(sign(notification(ses_bounce(), clock()))), 401, "invalid_signature")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"<html>",
        "elliptic curve",
        "short key",
    ],
    ids=str,
)
def test_unusable_certificate_is_rejected(
    post: Post, sns: HttpsTestServer, container: Container, document: bytes | str
) -> None:
    keys = {"elliptic curve": ec.generate_private_key(ec.SECP256R1()), "short key": rsa_key(bits=1024)}
    key = keys.get(str(document))
    sns.documents[CERTIFICATE_PATH] = (200, certificate(container.clock(), key) if key else document)
    assert_problem(post(sign(notification(ses_bounce(), container.clock()), key)), 401, "invalid_signature")
    assert all_suppressions(container) == []


def test_certificate_that_sns_does_not_have_is_rejected(
    post: Post, sns: HttpsTestServer, container: Container
) -> None:
    sns.documents = {}
    for status in (403, 404):
        sns.fallback = (status, b"")
        assert_problem(post(sign(notification(ses_bounce(), container.clock()))), 401, "invalid_signature")


def test_certificate_is_fetched_once(post: Post, sns: HttpsTestServer, container: Container) -> None:
    for _ in range(3):
        assert post(sign(notification(ses_bounce(), container.clock()))).json == {"suppressed": 1}
    assert sns.requests == [(HOST, CERTIFICATE_PATH)]
    assert len(all_suppressions(container)) == 1


@pytest.mark.parametrize("status", [302, 429, 500, 503])
def test_report_is_asked_for_again_while_the_certificate_cannot_be_fetched(
    post: Post, sns: HttpsTestServer, container: Container, status: int
) -> None:
    document = sns.documents.pop(CERTIFICATE_PATH)
    sns.fallback = (status, b"")
    message = sign(notification(ses_bounce(), container.clock()))
    refused = post(message)
    assert_problem(refused, 503, "unavailable")
    assert refused.headers["Retry-After"] == "20"
    sns.documents[CERTIFICATE_PATH] = document
    assert post(message).json == {"suppressed": 1}


def test_report_is_asked_for_again_when_sns_is_silent(
    client: FlaskClient, app: Flask, container: Container, sns: HttpsTestServer
) -> None:
    use_fetcher(app, container, sns, deadline_seconds=0.3)
    sns.may_answer.clear()
    body = json.dumps(sign(notification(ses_bounce(), container.clock())))
    assert_problem(client.post(SES, data=body), 503, "unavailable")


def test_subscription_is_confirmed(post: Post, sns: HttpsTestServer, container: Container) -> None:
    for version in ("1", "2"):
        sns.requests.clear()
        response = post(sign(confirmation(container.clock(), SignatureVersion=version)))
        assert (response.status_code, response.json) == (200, {"suppressed": 0})
        assert (HOST, SUBSCRIBE_TARGET) in sns.requests


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}{SUBSCRIBE_TARGET}",
        f"https://evil.example{SUBSCRIBE_TARGET}",
        f"https://user@{HOST}{SUBSCRIBE_TARGET}",
        f"https://{HOST}:8443{SUBSCRIBE_TARGET}",
        f"https://{HOST}/?Action=DeleteTopic&TopicArn={TOPIC}&Token=1",
        f"https://{HOST}/?Action=ConfirmSubscription&Action=DeleteTopic&TopicArn={TOPIC}&Token=1",
        f"https://{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}2&Token=1",
        f"https://{HOST}/?Action=ConfirmSubscription&Token=1",
        f"https://{HOST}/other{SUBSCRIBE_TARGET}",
        f"https://{HOST}{SUBSCRIBE_TARGET}\r\nX-Other: 1",
        f"https://{HOST}{SUBSCRIBE_TARGET}#",
        "",
    ],
)
def test_subscription_is_confirmed_at_sns_only(
    post: Post, sns: HttpsTestServer, container: Container, url: str
) -> None:
    sns.fallback = (200, b"")
    response = post(sign(confirmation(container.clock(), SubscribeURL=url)))
    assert_problem(response, 400, "unreadable_report")
    assert [target for _, target in sns.requests] == [CERTIFICATE_PATH]


def test_forged_subscription_is_not_confirmed(post: Post, sns: HttpsTestServer, container: Container) -> None:
    assert_problem(post(sign(confirmation(container.clock()), rsa_key(number=1))), 401, "invalid_signature")
    assert [target for _, target in sns.requests] == [CERTIFICATE_PATH]


@pytest.mark.parametrize("status", [400, 403, 500, 302])
def test_subscription_is_asked_for_again_until_sns_takes_it(
    post: Post, sns: HttpsTestServer, container: Container, status: int
) -> None:
    sns.documents[SUBSCRIBE_TARGET] = (status, b"")
    assert_problem(post(sign(confirmation(container.clock()))), 503, "unavailable")


def test_end_of_a_subscription_changes_nothing_and_is_logged(
    post: Post, sns: HttpsTestServer, container: Container, capfd: pytest.CaptureFixture[str]
) -> None:
    message = confirmation(container.clock(), Type="UnsubscribeConfirmation", Message=json.dumps(ses_bounce()))
    assert post(sign(message)).json == {"suppressed": 0}
    assert [target for _, target in sns.requests] == [CERTIFICATE_PATH]
    assert "ses_subscription_ended" in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        b"[" * 9000,
        json.dumps(ses_bounce()).encode(),
        json.dumps(as_event(ses_complaint())).encode(),
    ],
    ids=lambda body: body[:40],
)
def test_body_that_is_no_message_of_sns_is_rejected(post: Post, sns: HttpsTestServer, body: bytes) -> None:
    assert_problem(post(body), 400, "unreadable_report")
    assert sns.requests == []


@pytest.mark.parametrize(
    "name",
    ["Type", "MessageId", "TopicArn", "Message", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL"],
)
def test_message_without_a_field_or_with_another_type_is_rejected(
    post: Post, container: Container, name: str
) -> None:
    message = sign(notification(ses_bounce(), container.clock()))
    for altered in (message | {name: None}, message | {name: 1}, message | {name: [message[name]]}):
        assert_problem(post(altered), 400, "unreadable_report")
    del message[name]
    assert_problem(post(message), 400, "unreadable_report")


def test_large_message_is_read(post: Post, container: Container) -> None:
    report = ses_bounce(*(f"reader-{number}@example.org" for number in range(1000)))
    assert len(json.dumps(report)) > 128 * 1024
    assert post(sign(notification(report, container.clock()))).json == {"suppressed": 1000}


def test_concurrent_first_reports_are_taken_or_asked_for_again(
    app: Flask, container: Container, sns: HttpsTestServer
) -> None:
    body = json.dumps(sign(notification(ses_bounce(), container.clock())))
    sns.may_answer.clear()
    statuses = list[int]()

    def post_once() -> None:
        statuses.append(app.test_client().post(SES, data=body).status_code)

    threads = [threading.Thread(target=post_once) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join(0.2)
    sns.may_answer.set()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 1
    assert app.test_client().post(SES, data=body).status_code == 200


def test_message_is_neither_logged_nor_echoed(
    post: Post, sns: HttpsTestServer, container: Container, capfd: pytest.CaptureFixture[str]
) -> None:
    message = sign(notification(ses_bounce(), container.clock()))
    responses = [post(message), post(message | {"Message": READER}), post(b'{"Message": "reader@example.org"}')]
    sns.documents[SUBSCRIBE_TARGET] = (500, READER.encode())
    responses.append(post(sign(confirmation(container.clock()))))
    assert [response.status_code for response in responses] == [200, 401, 400, 503]
    output = "".join(capfd.readouterr()) + "".join(response.text for response in responses)
    assert "ses_request_failed" in output
    for secret in ("reader", "example.org", "2336412f37"):
        assert secret not in output


def test_ses_exists_only_with_its_setting(settings: Settings, migrated_database: str) -> None:
    assert set(configured_providers(settings.mail)) == {"ses"}
    assert configured_providers(settings_for(migrated_database).mail) == {}
