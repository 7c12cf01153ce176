"""Column types: instants in UTC, words of the house, and text that is encrypted at rest."""

import datetime
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, Dialect, LargeBinary, String
from sqlalchemy.types import TypeDecorator

from service.db.keyring import DecryptionError, Keyring


class UTCDateTime(TypeDecorator[datetime.datetime]):
    """An instant. It must carry a zone on the way in and is always UTC on the way out, on SQLite as well."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        """Refuse an instant without a zone: it could mean any of two dozen."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(datetime.UTC)

    def process_result_value(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        """Give SQLite's naive times their zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)


class StringEnum(TypeDecorator[Any]):
    """One word of a plain enum, stored as text; `enum_check` writes the CHECK that goes with it."""

    impl = String(32)
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        """Store the word itself."""
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        """Return the member of the enum."""
        return None if value is None else self.words(value)


def enum_check(column: str, words: Iterable[str], *, name: str) -> CheckConstraint:
    """Return the named CHECK that keeps a column within `words`."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(word)) for word in words)})", name=name)


class EncryptedText(TypeDecorator[str]):
    """Text that only this deployment's keys can read; `context` names the column (see `Keyring.encrypt`).

    The keys belong to the engine, which carries them on its dialect (see `service.db.session`). A value that no
    key opens raises `DecryptionError`, unless `on_decrypt_error` says what to read in its place.
    """

    impl = LargeBinary
    cache_ok = True

    def __init__(self, context: str, *, on_decrypt_error: str | None = None) -> None:
        super().__init__()
        self.context = context
        self.on_decrypt_error = on_decrypt_error

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Close the text under the current key."""
        if value is None:
            return None
        return get_keyring(dialect).encrypt(value.encode(), context=self.context.encode())

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Open the text with whichever key closed it."""
        if value is None:
            return None
        try:
            return self.decrypt(value, get_keyring(dialect))
        except DecryptionError:
            if self.on_decrypt_error is None:
                raise
            return self.on_decrypt_error

    def decrypt(self, value: bytes, keyring: Keyring) -> str:
        """Open what lies in the table.

        Raises:
            DecryptionError: no key of the ring opens it.
        """
        return keyring.decrypt(bytes(value), context=self.context.encode()).decode()


def get_keyring(dialect: Dialect) -> Keyring:
    """Return the keys that the engine of this dialect was made with."""
    keyring = getattr(dialect, "mainstay_keyring", None)
    if not isinstance(keyring, Keyring):
        raise TypeError("this engine was made without a keyring; make it with service.db.session.make_engine")
    return keyring


def attach_keyring(dialect: Dialect, keyring: Keyring) -> None:
    """Give the engine of this dialect its keys."""
    dialect.mainstay_keyring = keyring  # type: ignore[attr-defined]  # a dialect takes attributes of its user
