"""Webhooks of email services, reduced to the fields that are used, and the response to them."""

import contextlib
import json
import re
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

# JSON may escape one half of a surrogate pair, which UTF-8 cannot encode. A NUL is no part of an address either.
SURROGATE = re.compile("[\ud800-\udfff]")
NUL_ESCAPE = r"\\u0000"


class ExternalSchema(Schema):
    """Data from another service, which may add fields at any time."""

    class Meta:
        unknown = EXCLUDE


class PostmarkWebhook(ExternalSchema):
    """A Postmark webhook (https://postmarkapp.com/developer/webhooks/webhooks-overview).

    A bounce and a complaint name the address in `Email`, a changed subscription in `Recipient`.
    """

    record_type = fields.String(required=True, data_key="RecordType")
    type = fields.String(data_key="Type", allow_none=True)
    email = fields.String(data_key="Email", allow_none=True)
    recipient = fields.String(data_key="Recipient", allow_none=True)
    inactive = fields.Boolean(data_key="Inactive", load_default=False)
    bounced_at = fields.String(data_key="BouncedAt", allow_none=True)
    changed_at = fields.String(data_key="ChangedAt", allow_none=True)
    suppress_sending = fields.Boolean(data_key="SuppressSending", load_default=False)
    suppression_reason = fields.String(data_key="SuppressionReason", allow_none=True)


class MailgunSignature(ExternalSchema):
    """The signature of a Mailgun webhook; `timestamp` is seconds since 1970."""

    timestamp = fields.String(required=True)
    token = fields.String(required=True)
    signature = fields.String(required=True)


class MailgunDelivery(ExternalSchema):
    """The delivery status of an email; `code` is that of the receiving server, or Mailgun's own."""

    code = fields.Integer(allow_none=True)


class MailgunEvent(ExternalSchema):
    """The event of a Mailgun webhook; `timestamp` is seconds since 1970."""

    event = fields.String(required=True)
    recipient = fields.String(allow_none=True)
    severity = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)
    timestamp = fields.Float(allow_none=True)
    delivery = fields.Nested(MailgunDelivery, data_key="delivery-status", allow_none=True)


class MailgunWebhook(ExternalSchema):
    """A Mailgun webhook (https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhooks)."""

    signature = fields.Nested(MailgunSignature, required=True)
    event = fields.Nested(MailgunEvent, required=True, data_key="event-data")


class SnsMessage(ExternalSchema):
    """A message of Amazon SNS (https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html)."""

    type = fields.String(required=True, data_key="Type")
    id = fields.String(required=True, data_key="MessageId")
    topic = fields.String(required=True, data_key="TopicArn")
    subject = fields.String(data_key="Subject", load_default=None, allow_none=True)
    message = fields.String(required=True, data_key="Message")
    timestamp = fields.String(required=True, data_key="Timestamp")
    signature_version = fields.String(required=True, data_key="SignatureVersion")
    signature = fields.String(required=True, data_key="Signature")
    certificate_url = fields.String(required=True, data_key="SigningCertURL")
    token = fields.String(data_key="Token", load_default="")
    subscribe_url = fields.String(data_key="SubscribeURL", load_default="")


class SesRecipient(ExternalSchema):
    """A recipient in a report of Amazon SES."""

    email = fields.String(data_key="emailAddress", load_default=None, allow_none=True)


class SesBounce(ExternalSchema):
    """A bounce; `timestamp` is in ISO 8601."""

    type = fields.String(data_key="bounceType", load_default=None, allow_none=True)
    recipients = fields.List(fields.Nested(SesRecipient), data_key="bouncedRecipients", load_default=list)
    timestamp = fields.String(load_default=None, allow_none=True)


class SesComplaint(ExternalSchema):
    """A complaint; `feedback_type` is that of the receiving service's report (RFC 5965, section 7.3), if any."""

    feedback_type = fields.String(data_key="complaintFeedbackType", load_default=None, allow_none=True)
    recipients = fields.List(fields.Nested(SesRecipient), data_key="complainedRecipients", load_default=list)
    timestamp = fields.String(load_default=None, allow_none=True)


class SesReport(ExternalSchema):
    """A report of Amazon SES (https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html).

    Its type is in `notificationType`, or in `eventType` if a configuration set publishes it.
    """

    notification_type = fields.String(data_key="notificationType", load_default=None, allow_none=True)
    event_type = fields.String(data_key="eventType", load_default=None, allow_none=True)
    bounce = fields.Nested(SesBounce, load_default=None, allow_none=True)
    complaint = fields.Nested(SesComplaint, load_default=None, allow_none=True)


class SendGridEvent(ExternalSchema):
    """An event of SendGrid; `timestamp` is seconds since 1970.

    Source: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
    """

    event = fields.String(required=True)
    email = fields.String(load_default=None, allow_none=True)
    timestamp = fields.Float(load_default=None, allow_none=True)
    type = fields.String(load_default=None, allow_none=True)
    reason = fields.String(load_default=None, allow_none=True)


class BrevoEvent(ExternalSchema):
    """An event of Brevo (https://developers.brevo.com/docs/transactional-webhooks).

    `ts_event` is when it happened and `ts_epoch` when the email was sent, in seconds and milliseconds since 1970.
    """

    event = fields.String(required=True)
    email = fields.String(load_default=None, allow_none=True)
    occurred_at = fields.Float(data_key="ts_event", load_default=None, allow_none=True)


class EmailWebhookResponse(Schema):
    """The number of addresses in the report that are suppressed."""

    suppressed = fields.Integer(required=True)


def parse_webhook(schema: Schema, body: bytes) -> dict[str, Any]:
    """Parse a JSON body with a schema.

    Raises:
        ValueError: it is not JSON or does not fit the schema. The message contains nothing of the body.
    """
    return _load(schema, _parse_json(body))


def parse_webhook_batch(schema: Schema, body: bytes) -> list[dict[str, Any]]:
    """Parse a JSON body that is one event or a list of events.

    An event in a list that does not fit the schema is left out: the others count, and a retry would not help.

    Raises:
        ValueError: it is not JSON, or one event that does not fit the schema.
    """
    content = _parse_json(body)
    if not isinstance(content, list):
        return [_load(schema, content)]
    events = []
    for event in content:
        with contextlib.suppress(ValueError):
            events.append(_load(schema, event))
    return events


def _parse_json(body: bytes) -> Any:
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False)
        return json.loads(SURROGATE.sub(NUL_ESCAPE, text))
    except (ValueError, RecursionError):
        raise ValueError("this is not JSON") from None


def _load(schema: Schema, content: Any) -> dict[str, Any]:
    try:
        report: dict[str, Any] = schema.load(content)
    except (ValueError, ValidationError):
        raise ValueError("this is not such a report") from None
    return report
