"""A reminder as a calendar file (RFC 5545): an event that takes a whole day, and an alarm at the sending hour.

The box makes the same in the reader's browser (widget/src/parts/calendar-file.js).
"""

import datetime
import re
import uuid

MAX_LINE_BYTES = 75


def calendar_file(
    day: datetime.date, *, title: str, url: str, send_hour: int, host: str, now: datetime.datetime
) -> str:
    """Return the file. Its event has an id of its own, so that two files are two events."""
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Mainstay//Support page//EN",
        "BEGIN:VEVENT",
        f"UID:{uuid.uuid4()}@{host}",
        f"DTSTAMP:{now.astimezone(datetime.UTC):%Y%m%dT%H%M%SZ}",
        # A day without a time is the same day in every zone.
        f"DTSTART;VALUE=DATE:{day:%Y%m%d}",
        f"SUMMARY:{_escape(title)}",
        f"DESCRIPTION:{_escape(url)}",
        f"URL:{url}",
        "TRANSP:TRANSPARENT",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        f"DESCRIPTION:{_escape(title)}",
        f"TRIGGER:PT{send_hour}H",
        "END:VALARM",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return "".join(f"{_fold(line)}\r\n" for line in lines)


def _escape(text: str) -> str:
    """Escape a text value (section 3.3.11), as one line."""
    return " ".join(re.sub(r"([\\;,])", r"\\\1", text).split())


def _fold(line: str) -> str:
    """Fold a line that is longer than 75 bytes (section 3.1), between characters."""
    folded, size = "", 0
    for character in line:
        length = len(character.encode())
        if size + length > MAX_LINE_BYTES:
            folded, size = folded + "\r\n ", 1
        folded, size = folded + character, size + length
    return folded
