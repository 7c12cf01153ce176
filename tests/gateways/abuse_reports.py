"""Abuse reports in the format of RFC 5965, as mailbox providers send them."""

from email.message import EmailMessage, Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

FIELDS = (
    "Feedback-Type: {feedback_type}\r\n"
    "User-Agent: SomeGenerator/1.0\r\n"
    "Version: 1\r\n"
    "Original-Mail-From: <support@news.example>\r\n"
    "Original-Rcpt-To: <{recipient}>\r\n"
    "Arrival-Date: Mon, 23 Nov 2026 09:00:00 -0000\r\n"
    "Source-IP: 192.0.2.1\r\n"
)


def abuse_report(
    original: bytes,
    *,
    feedback_type: str = "abuse",
    content_type: str = "message/rfc822",
    recipient: str = "redacted@mail.example",
    report_type: str | None = "feedback-report",
) -> bytes:
    """Return a report with `original`, an email of ours, or with its headers if the type says so."""
    report = MIMEMultipart("report")
    if report_type is not None:
        report.set_param("report-type", report_type)
    report["From"] = "feedback@mail.example"
    report["To"] = "reports@news.example"
    report["Subject"] = "FW: You asked us to remind you"
    report["Date"] = "Mon, 23 Nov 2026 09:20:00 +0000"
    report["MIME-Version"] = "1.0"
    report.attach(MIMEText("This is an email abuse report.\n"))
    fields = FIELDS.format(feedback_type=feedback_type, recipient=recipient)
    report.attach(_part("message/feedback-report", fields.encode()))
    if content_type.endswith("headers"):
        original = original.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    report.attach(_part(content_type, original))
    return report.as_bytes()


def _part(content_type: str, content: bytes) -> Message:
    main, _, sub = content_type.partition("/")
    part = MIMEBase(main, sub)
    del part["MIME-Version"]
    part["Content-Disposition"] = "inline"
    # The generator writes a message's payload as it is.
    part.set_payload(content.decode("utf-8", "surrogateescape"))
    return part


def plain_email(text: str) -> bytes:
    """Return an email of a person."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "person@mail.example", "reports@news.example", "Hello"
    message.set_content(text)
    return message.as_bytes()
