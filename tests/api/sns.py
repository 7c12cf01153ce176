"""Messages of Amazon SNS with real signatures, and its reports for Amazon SES as in their documentation."""

import base64
import datetime
import json
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

TOPIC = "arn:aws:sns:eu-west-1:123456789012:mainstay"
HOST = "sns.eu-west-1.amazonaws.com"
CERTIFICATE_PATH = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
SUBSCRIBE_TARGET = f"/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"
READER = "reader@example.org"
MAIL = {"timestamp": "2026-11-23T09:24:58.237Z", "source": "support@news.example", "destination": [READER]}


@cache
def rsa_key(*, bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """Return a key, the same one for each `number`."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def certificate(now: datetime.datetime, key: Any = None, *, begins_in: float = -1, ends_in: float = 365) -> bytes:
    """Return a self-signed certificate in PEM that is valid between two days, counted from now."""
    key = key or rsa_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=begins_in))
        .not_valid_after(now + datetime.timedelta(days=ends_in))
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
    )


def notification(report: object, now: datetime.datetime, **changes: str | None) -> dict[str, Any]:
    """Return an unsigned notification; a change to None leaves its field out."""
    message = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Subject": "Amazon SES Email Event Notification",
        "Message": report if isinstance(report, str) else json.dumps(report),
        "Timestamp": f"{now:%Y-%m-%dT%H:%M:%S}.123Z",
        "SignatureVersion": "1",
        "SigningCertURL": f"https://{HOST}{CERTIFICATE_PATH}",
        "UnsubscribeURL": f"https://{HOST}/?Action=Unsubscribe&SubscriptionArn={TOPIC}:c9135db0",
    } | changes
    return {name: value for name, value in message.items() if value is not None}


def confirmation(now: datetime.datetime, **changes: str | None) -> dict[str, Any]:
    """Return an unsigned request to confirm the subscription."""
    text = f"You have chosen to subscribe to the topic {TOPIC}.\nTo confirm, visit the SubscribeURL."
    return notification(text, now, UnsubscribeURL=None, Subject=None) | {
        "Type": "SubscriptionConfirmation",
        "Token": "2336412f37",
        "SubscribeURL": f"https://{HOST}{SUBSCRIBE_TARGET}",
    } | changes  # fmt: skip


def sign(
    message: dict[str, Any], key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None
) -> dict[str, Any]:
    """Return the message with its signature."""
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if message["Type"] != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{message[name]}\n" for name in names if name in message).encode()
    hash_algorithm = SHA1() if message["SignatureVersion"] == "1" else SHA256()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        signature = key.sign(text, ec.ECDSA(hash_algorithm))
    else:
        signature = (key or rsa_key()).sign(text, PKCS1v15(), hash_algorithm)
    return message | {"Signature": base64.b64encode(signature).decode()}


def ses_bounce(*addresses: str, **changes: Any) -> dict[str, Any]:
    """Return a bounce (https://docs.aws.amazon.com/ses/latest/dg/notification-examples.html)."""
    return {
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": "Permanent",
            "reportingMTA": "dns; email.example.com",
            "bouncedRecipients": [
                {
                    "emailAddress": address,
                    "status": "5.1.1",
                    "action": "failed",
                    "diagnosticCode": f"smtp; 550 5.1.1 <{address}>... User",
                }
                for address in addresses or (READER,)
            ],
            "bounceSubType": "General",
            "timestamp": "2026-11-23T09:25:00.237Z",
            "feedbackId": "00000138111222aa-33322211-cccc-cccc-cccc-ddddaaaa068a-000000",
            "remoteMtaIp": "127.0.2.0",
        }
        | changes,
        "mail": {
            "timestamp": "2026-11-23T09:24:58.237Z",
            "source": "support@news.example",
            "destination": [READER],
        },
    }


def ses_complaint(**changes: Any) -> dict[str, Any]:
    """Return a complaint."""
    return {
        "notificationType": "Complaint",
        "complaint": {
            "userAgent": "AnyCompany Feedback Loop (V0.01)",
            "complainedRecipients": [{"emailAddress": READER}],
            "complaintFeedbackType": "abuse",
            "arrivalDate": "2026-11-23T09:20:00.000Z",
            "timestamp": "2026-11-23T09:25:00.237Z",
            "feedbackId": "000001378603177f-18c07c78-fa81-4a58-9dd1-fedc3cb8f49a-000000",
        }
        | changes,
        "mail": {
            "timestamp": "2026-11-23T09:24:58.237Z",
            "source": "support@news.example",
            "destination": [READER],
        },
    }


def as_event(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report as a configuration set publishes it."""
    return {"eventType" if name == "notificationType" else name: value for name, value in report.items()}
