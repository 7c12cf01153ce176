"""Batches of emails that are ready to send, and the errors that keep one from being built."""

import datetime
from collections import Counter
from dataclasses import dataclass
from typing import Generic, TypeVar
from zoneinfo import ZoneInfoNotFoundError

from service.db.keyring import DecryptionError, Keyring, UnknownKey
from service.db.models.supporter import EMAIL_TYPE
from service.db.types import EncryptedText
from service.domain.ports import Email

# An email whose address this process cannot read waits, at first briefly for a worker that already has the key.
UNREADABLE = "waits for a key: no key of SECRET_KEYS opens its address"
FIRST_KEY_WAIT = datetime.timedelta(seconds=30)
NEXT_KEY_WAIT = datetime.timedelta(minutes=5)

ClaimT = TypeVar("ClaimT")
EmailT = TypeVar("EmailT", bound=Email)


@dataclass(frozen=True)
class PreparedEmails(Generic[ClaimT, EmailT]):
    """Emails to send, each with its claim, and counts of those that were finished without sending, by outcome.

    Those that wait for a key are counted there too, as `waiting`.
    """

    emails: list[tuple[ClaimT, EmailT]]
    finished: Counter[str]

    @property
    def counted(self) -> dict[str, int]:
        """The counts of those that are really finished, for the metrics."""
        return {outcome: count for outcome, count in self.finished.items() if outcome != "waiting"}


class EmailNotBuildable(Exception):
    """An email cannot be built. The message tells the staff why and contains no personal data."""


class UnknownAddressKey(Exception):
    """This process lacks the key of an address; the email waits for a process that has it."""


def failure_reason(error: Exception) -> str:
    """Return the reason that staff see. Only our own errors are quoted: others may contain personal data."""
    if isinstance(error, ZoneInfoNotFoundError):
        error = EmailNotBuildable("its time zone is not known")
    return f"could not be written: {error if isinstance(error, EmailNotBuildable) else 'its row makes no letter'}"


def retry_with_key_at(reason: str | None, now: datetime.datetime) -> datetime.datetime:
    """Return when an email that this process cannot read is due again; `reason` is what its row says so far."""
    return now + (NEXT_KEY_WAIT if reason == UNREADABLE else FIRST_KEY_WAIT)


def decrypt_address(encrypted: bytes, keyring: Keyring, *, column_type: EncryptedText = EMAIL_TYPE) -> str:
    """Decrypt a stored address.

    The column is read undecrypted, so that one row with a bad address does not fail the query for a whole batch.

    Raises:
        UnknownAddressKey: its key is not in `SECRET_KEYS`, so another process may be able to send the email.
        EmailNotBuildable: the stored address was damaged.
    """
    try:
        return column_type.decrypt(encrypted, keyring)
    except UnknownKey as error:
        raise UnknownAddressKey from error
    except (DecryptionError, UnicodeDecodeError) as error:
        raise EmailNotBuildable("no key of SECRET_KEYS opens its address") from error
