"""Batches of emails that are ready to send, and the errors that keep one from being built."""

from collections import Counter
from dataclasses import dataclass
from typing import Generic, TypeVar
from zoneinfo import ZoneInfoNotFoundError

from service.db.keyring import DecryptionError, Keyring
from service.db.models.supporter import EMAIL_TYPE
from service.db.types import EncryptedText
from service.domain.ports import Email

ClaimT = TypeVar("ClaimT")
EmailT = TypeVar("EmailT", bound=Email)


@dataclass(frozen=True)
class PreparedEmails(Generic[ClaimT, EmailT]):
    """Emails to send, each with its claim, and counts of those that were finished without sending, by outcome."""

    emails: list[tuple[ClaimT, EmailT]]
    finished: Counter[str]


class EmailNotBuildable(Exception):
    """An email cannot be built. The message tells the staff why and contains no personal data."""


def failure_reason(error: Exception) -> str:
    """Return the reason that staff see. Only our own errors are quoted: others may contain personal data."""
    if isinstance(error, ZoneInfoNotFoundError):
        error = EmailNotBuildable("its time zone is not known")
    return f"could not be written: {error if isinstance(error, EmailNotBuildable) else 'its row makes no letter'}"


def decrypt_address(encrypted: bytes, keyring: Keyring, *, column_type: EncryptedText = EMAIL_TYPE) -> str:
    """Decrypt a stored address.

    The column is read undecrypted, so that one row with a bad address does not fail the query for a whole batch.

    Raises:
        EmailNotBuildable: no key decrypts it.
    """
    try:
        return column_type.decrypt(encrypted, keyring)
    except (DecryptionError, UnicodeDecodeError) as error:
        raise EmailNotBuildable("no key of SECRET_KEYS opens its address") from error
