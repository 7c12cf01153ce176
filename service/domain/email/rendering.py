"""Letters that are about to leave, and those that cannot be written."""

from collections import Counter
from dataclasses import dataclass
from typing import Generic, TypeVar
from zoneinfo import ZoneInfoNotFoundError

from service.db.keyring import DecryptionError, Keyring
from service.db.models.supporter import EMAIL_TYPE
from service.domain.ports import Email

C = TypeVar("C")
L = TypeVar("L", bound=Email)


@dataclass(frozen=True)
class PreparedEmails(Generic[C, L]):
    """The letters that are to leave, each with its claim, and how many mails ended here instead, by how."""

    emails: list[tuple[C, L]]
    finished: Counter[str]


class EmailNotBuildable(Exception):
    """A letter cannot be written; the message tells the staff why and holds nothing of the reader's."""


def failure_reason(error: Exception) -> str:
    """Say in the staff's words why a letter could not be written; only our own errors are known to be discreet."""
    if isinstance(error, ZoneInfoNotFoundError):
        error = EmailNotBuildable("its time zone is not known")
    return f"could not be written: {error if isinstance(error, EmailNotBuildable) else 'its row makes no letter'}"


def decrypt_address(closed: bytes, keyring: Keyring) -> str:
    """Return a stored address, read as it lies in the table so that it cannot keep other letters back.

    Raises:
        Unwritable: it does not open.
    """
    try:
        return EMAIL_TYPE.decrypt(closed, keyring)
    except (DecryptionError, UnicodeDecodeError) as error:
        raise EmailNotBuildable("no key of SECRET_KEYS opens its address") from error
