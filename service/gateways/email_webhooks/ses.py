"""Webhooks of Amazon SES, which Amazon SNS signs and delivers.

The signature covers the whole message. Its certificate is fetched from the SNS host of the topic's own region and
from nowhere else. Sources: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html and
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
"""

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from schemas.email_webhooks import SesReport, SnsMessage, parse_webhook
from schemas.enums import SuppressionReason
from service.domain.ports import BounceReport, EmailWebhookProvider, InvalidWebhook, WebhookUnavailable
from service.gateways.email_webhooks.encoding import decode_base64
from service.gateways.email_webhooks.timestamps import parse_iso
from service.gateways.https_fetcher import DocumentRefused, FetchError, HttpsFetcher
from service.mail_settings import SES_TOPIC

# SNS retries for an hour at most.
MESSAGE_TTL = datetime.timedelta(hours=2)
MAX_CLOCK_SKEW = datetime.timedelta(minutes=5)
HOST_SUFFIXES = {"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}
CERTIFICATE_PATH = re.compile(r"/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200}\.pem")
CONFIRMATION_TARGET = re.compile(r"/\?(?P<query>[!-\"$-~]{1,2000})")
MAX_CERTIFICATES = 8
MIN_KEY_BITS = 2048

NOTIFICATION, SUBSCRIPTION, UNSUBSCRIPTION = "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"
# What is signed, in this order, each name and each value on a line of its own.
_CONFIRMATION_FIELDS = (
    ("Message", "message"),
    ("MessageId", "id"),
    ("SubscribeURL", "subscribe_url"),
    ("Timestamp", "timestamp"),
    ("Token", "token"),
    ("TopicArn", "topic"),
    ("Type", "type"),
)
SIGNED_FIELDS = {
    NOTIFICATION: (
        ("Message", "message"),
        ("MessageId", "id"),
        ("Subject", "subject"),
        ("Timestamp", "timestamp"),
        ("TopicArn", "topic"),
        ("Type", "type"),
    ),
    SUBSCRIPTION: _CONFIRMATION_FIELDS,
    UNSUBSCRIPTION: _CONFIRMATION_FIELDS,
}
# Version 1 is the default of a topic.
HASHES: dict[str, Callable[[], HashAlgorithm]] = {"1": SHA1, "2": SHA256}

# Reports that a receiving service makes, and that are no complaint of a reader.
NO_COMPLAINTS = ("not-spam", "auth-failure")

log = structlog.get_logger()


class SesWebhooks(EmailWebhookProvider):
    """Parses the reports that SES publishes to one topic of SNS; `topic_arn` is the topic's name at Amazon."""

    name = "ses"

    def __init__(self, topic_arn: str, fetcher: HttpsFetcher | None = None) -> None:
        parts = SES_TOPIC.match(topic_arn)
        if parts is None:
            raise ValueError("this is no topic of SNS")
        self._topic = topic_arn
        self._host = f"sns.{parts['region']}.{HOST_SUFFIXES[parts['partition']]}"
        self._fetcher = fetcher or HttpsFetcher()
        self._certificates: dict[str, x509.Certificate] = {}

    def is_authentic(self, _headers: Mapping[str, str], body: bytes, now: datetime.datetime, /) -> bool:
        """Whether SNS signed this message, for our topic and not long ago.

        Raises:
            InvalidWebhook: the body is no message of SNS.
            WebhookUnavailable: the certificate could not be fetched.
        """
        message = self._load(body)
        sent_at = parse_iso(message["timestamp"])
        certificate_path = self._target(message["certificate_url"], CERTIFICATE_PATH)
        hash_algorithm = HASHES.get(message["signature_version"])
        signature = decode_base64(message["signature"])
        # A stranger's message ends here, before anything is fetched for it.
        if (
            message["topic"] != self._topic
            or message["type"] not in SIGNED_FIELDS
            or sent_at is None
            or not now - MESSAGE_TTL <= sent_at <= now + MAX_CLOCK_SKEW
            or certificate_path is None
            or hash_algorithm is None
            or not signature
        ):
            return False
        key = self._public_key(certificate_path, now)
        if key is None:
            return False
        try:
            key.verify(signature, _signed_text(message), PKCS1v15(), hash_algorithm())
        except InvalidSignature:
            return False
        return True

    def confirm_subscription(self, body: bytes, /) -> None:
        """Confirm the subscription of an authentic message, as SNS asks for once before the first report.

        Raises:
            WebhookUnavailable: SNS did not take the confirmation.
        """
        message = self._load(body)
        if message["type"] == UNSUBSCRIPTION:
            log.warning("ses_subscription_ended")
        if message["type"] != SUBSCRIPTION:
            return
        target = self._target(message["subscribe_url"], CONFIRMATION_TARGET)
        query = parse_qs((target or "").partition("?")[2])
        is_ours = query.get("Action") == ["ConfirmSubscription"] and query.get("TopicArn") == [self._topic]
        if target is None or not is_ours:
            raise InvalidWebhook(self.name)
        try:
            self._fetcher.get(self._host, target)
        except FetchError as error:
            raise self._unavailable(error) from error
        log.info("ses_subscription_confirmed")

    def parse(self, body: bytes) -> list[BounceReport]:
        """Return the addresses that bounced permanently or complained, if any.

        Raises:
            InvalidWebhook: the body is no message of SNS.
        """
        message = self._load(body)
        try:
            report = parse_webhook(SesReport(), message["message"].encode())
        except ValueError:
            # SES greets a new topic in plain words, and others may publish to it.
            return []
        kind = report["notification_type"] or report["event_type"]
        bounce, complaint = report["bounce"], report["complaint"]
        if message["type"] != NOTIFICATION:
            return []
        if kind == "Bounce" and bounce and bounce["type"] == "Permanent":
            return _reports(bounce, SuppressionReason.HARD_BOUNCE)
        if kind == "Complaint" and complaint and complaint["feedback_type"] not in NO_COMPLAINTS:
            return _reports(complaint, SuppressionReason.COMPLAINT)
        return []

    def _load(self, body: bytes) -> dict[str, Any]:
        try:
            return parse_webhook(SnsMessage(), body)
        except ValueError as error:
            raise InvalidWebhook(self.name) from error

    def _target(self, url: str, form: re.Pattern[str]) -> str | None:
        """Return the path and query of a URL on our topic's host; None for any other URL.

        The beginning is compared as text, so that no user name, port or other spelling of a host gets through.
        """
        origin = f"https://{self._host}"
        target = url.removeprefix(origin)
        return target if url.startswith(f"{origin}/") and form.fullmatch(target) else None

    def _public_key(self, path: str, now: datetime.datetime) -> RSAPublicKey | None:
        """Return the key of a certificate that is valid now; None if there is no such certificate."""
        certificate = self._certificates.get(path)
        if certificate is None:
            try:
                certificate = x509.load_pem_x509_certificate(self._fetcher.get(self._host, path))
            except (DocumentRefused, ValueError):
                return None
            except FetchError as error:
                raise self._unavailable(error) from error
            if len(self._certificates) >= MAX_CERTIFICATES:
                self._certificates.clear()
            self._certificates[path] = certificate
        key = certificate.public_key()
        is_valid = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        return key if is_valid and isinstance(key, RSAPublicKey) and key.key_size >= MIN_KEY_BITS else None

    def _unavailable(self, error: FetchError) -> WebhookUnavailable:
        log.warning("ses_request_failed", reason=str(error))
        return WebhookUnavailable(self.name)


def _signed_text(message: dict[str, Any]) -> bytes:
    lines = [
        f"{name}\n{message[field]}\n"
        for name, field in SIGNED_FIELDS[message["type"]]
        if message[field] is not None
    ]
    return "".join(lines).encode()


def _reports(details: dict[str, Any], reason: SuppressionReason) -> list[BounceReport]:
    at = parse_iso(details["timestamp"])
    addresses = [recipient["email"] for recipient in details["recipients"]]
    return [BounceReport(address=address, reason=reason, at=at) for address in addresses if address]
