"""Batches of emails that are ready to send, and those that are not sent, such as because one cannot be built."""

import datetime
from dataclasses import dataclass, field
from zoneinfo import ZoneInfoNotFoundError

from service.db.keyring import DecryptionError, Keyring, UnknownKey
from service.db.models.supporter import EMAIL_TYPE
from service.db.types import EncryptedText
from service.domain.email.queue import FIRST_KEY_WAIT, NEXT_KEY_WAIT, UNREADABLE, EmailClaim
from service.domain.email.status import EmailEvent
from service.domain.ports import Email


@dataclass(frozen=True)
class UnsentEmail:
    """A claimed email that is not sent: it is skipped or fails for a reason, or waits until `retry_at`.

    `counter` is what it counts as: `failed`, `skipped`, `suppressed`, `sent` if it was sent before, or `waiting`.
    """

    claim: EmailClaim
    event: EmailEvent
    reason: str | None
    counter: str
    retry_at: datetime.datetime | None = None


@dataclass(frozen=True)
class PreparedEmails:
    """The emails of a batch to send, each with its claim, and those that are not sent."""

    emails: list[tuple[EmailClaim, Email]] = field(default_factory=list)
    unsent: list[UnsentEmail] = field(default_factory=list)

    def skip(self, claim: EmailClaim, reason: str, *, is_suppressed: bool = False) -> None:
        """Do not send an email that is not wanted."""
        counter = "suppressed" if is_suppressed else "skipped"
        self.unsent.append(UnsentEmail(claim, EmailEvent.SKIP, reason, counter))

    def fail(self, claim: EmailClaim, error: Exception) -> None:
        """Do not send an email that cannot be built."""
        self.unsent.append(UnsentEmail(claim, EmailEvent.FAIL, failure_reason(error), "failed"))

    def wait_for_key(self, claim: EmailClaim, reason: str | None, *, now: datetime.datetime) -> None:
        """Leave an email to a process that can read its address; `reason` is what its row says so far."""
        retry_at = now + (NEXT_KEY_WAIT if reason == UNREADABLE else FIRST_KEY_WAIT)
        self.unsent.append(UnsentEmail(claim, EmailEvent.RELEASE, UNREADABLE, "waiting", retry_at))


class EmailNotBuildable(Exception):
    """An email cannot be built. The message tells the staff why and contains no personal data."""


class UnknownAddressKey(Exception):
    """This process lacks the key of an address; the email waits for a process that has it."""


def failure_reason(error: Exception) -> str:
    """Return the reason that staff see. Only our own errors are quoted: others may contain personal data."""
    if isinstance(error, ZoneInfoNotFoundError):
        error = EmailNotBuildable("its time zone is unknown")
    return (
        f"could not be written: {error if isinstance(error, EmailNotBuildable) else 'its stored data is unusable'}"
    )


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
