"""Times in reports of email services; one that cannot be read counts as not given."""

import datetime


def parse_iso(text: str | None) -> datetime.datetime | None:
    """Return the instant of a text in ISO 8601 with an offset."""
    try:
        at = datetime.datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def parse_unix(seconds: str | float | None) -> datetime.datetime | None:
    """Return the instant of a number of seconds since 1970."""
    try:
        return datetime.datetime.fromtimestamp(float(seconds or ""), datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return None
