"""Keyset pagination of lists ordered by id: the cursor is the id of the last row of a page."""

import base64
import binascii
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.domain.errors import InvalidCursor


@dataclass(frozen=True)
class Page:
    """The rows of one page, and the cursor of the next page, if there is one."""

    items: Sequence[Any]
    next_cursor: str | None


def encode_cursor(last_id: uuid.UUID) -> str:
    """Return the cursor of the page after this row."""
    return base64.urlsafe_b64encode(last_id.bytes).decode().rstrip("=")


def decode_cursor(cursor: str) -> uuid.UUID:
    """Return the id in a cursor.

    Raises:
        InvalidCursor: `encode_cursor` did not issue it.
    """
    try:
        return uuid.UUID(bytes=base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidCursor("This cursor is not one that this list returned.", field="cursor") from error
