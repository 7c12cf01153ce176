"""Pages of a list that is ordered by id: some rows, and a cursor that stands for the last of them."""

import base64
import binascii
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.domain.errors import InvalidCursor


@dataclass(frozen=True)
class Page:
    """Some rows, and the cursor of the next ones, if there are any."""

    items: Sequence[Any]
    next_cursor: str | None


def encode_cursor(last_id: uuid.UUID) -> str:
    """Return the cursor that stands for "after this row"."""
    return base64.urlsafe_b64encode(last_id.bytes).decode().rstrip("=")


def decode_cursor(cursor: str) -> uuid.UUID:
    """Return the id in a cursor.

    Raises:
        InvalidCursor: the cursor is not one that was given out.
    """
    try:
        return uuid.UUID(bytes=base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidCursor("This cursor is not one that this list gave out.", field="cursor") from error
