"""Abuse reports that mailbox providers send by email (ARF, RFC 5965).

A report contains the email that the reader complained about, or its headers, and often not the reader's address.
Nothing authenticates it, so only the signed links in our email count: that in the header List-Unsubscribe, which
reminders have, or that to the page of a pledge, which receipts have.
"""

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message

from service.domain.ports import AbuseReport

# Reports that are no complaint of a reader (RFC 5965, section 7.3; RFC 6591; RFC 7489).
NO_COMPLAINTS = ("not-spam", "auth-failure", "dmarc")
# Where the email is that a report is about, or its headers.
ORIGINAL_TYPES = (
    "message/rfc822",
    "message/global",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global-headers",
)
UNSUBSCRIBE_LINK = re.compile(rb"/v1/reminders/([A-Za-z0-9_.-]{72})/cancel")
PLEDGE_LINK = re.compile(rb"/p/([A-Za-z0-9_.-]{72})(?![A-Za-z0-9_.-])")


def parse_abuse_report(content: bytes) -> AbuseReport | None:
    """Return the complaint in a message; None if it is no abuse report, or one that is no complaint."""
    try:
        return _parse(message_from_bytes(content))
    except Exception:  # noqa: BLE001 - for malformed messages the library raises errors of many kinds
        return None


def _parse(message: Message) -> AbuseReport | None:
    if message.get_content_type() != "multipart/report" or _report_type(message) != "feedback-report":
        return None
    # The first part of each type counts.
    parts = {part.get_content_type(): part for part in reversed(_parts(message))}
    report = parts.get("message/feedback-report")
    if report is None or str(_content(report).get("Feedback-Type", "")).strip().lower() in NO_COMPLAINTS:
        return None
    original = next((_content(parts[name]) for name in ORIGINAL_TYPES if name in parts), Message())
    unsubscribe = "".join(str(original.get("List-Unsubscribe", "")).split())
    return AbuseReport(
        reminder_token=_first(UNSUBSCRIBE_LINK, unsubscribe.encode()),
        pledge_token=_first(PLEDGE_LINK, b"\n".join(_texts(original))),
    )


def _report_type(message: Message) -> str:
    value = message.get_param("report-type")
    # A tuple if it is encoded (RFC 2231), which no report needs.
    return value.lower() if isinstance(value, str) else ""


def _parts(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []


def _content(part: Message) -> Message:
    """Return the headers or the message within a part."""
    # The library parses any part of the type message/…, and leaves others as text.
    return next(iter(_parts(part)), None) or message_from_bytes(_decoded(part))


def _texts(message: Message) -> Iterator[bytes]:
    return (_decoded(part) for part in message.walk() if part.get_content_maintype() == "text")


def _decoded(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _first(pattern: re.Pattern[bytes], text: bytes) -> str | None:
    found = pattern.search(text)
    return found[1].decode() if found else None
