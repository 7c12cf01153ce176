"""Column types: instants in UTC, string enums, and text that is encrypted at rest."""

import datetime
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BindParameter,
    CheckConstraint,
    ColumnElement,
    DateTime,
    Dialect,
    LargeBinary,
    String,
    bindparam,
)
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeDecorator

from service.db.keyring import DecryptionError, Keyring


class UTCDateTime(TypeDecorator[datetime.datetime]):
    """An instant. It needs a time zone on the way in and is always UTC on the way out, on SQLite as well."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        """Convert to UTC.

        Raises:
            ValueError: the value has no time zone, so it is ambiguous.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(datetime.UTC)

    def process_result_value(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        """Return the value in UTC; SQLite stores it without a zone."""
        if value is None:
            return None
        return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)


class StringEnum(TypeDecorator[Any]):
    """A member of a `StrEnum`, stored as its value; `enum_check` returns the CHECK that goes with it."""

    impl = String(32)
    cache_ok = True

    def __init__(self, enum_class: type[StrEnum]) -> None:
        super().__init__()
        self.enum_class = enum_class

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        return None if value is None else self.enum_class(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.enum_class(value)


def enum_check(column: str, values: Iterable[str], *, name: str) -> CheckConstraint:
    """Return the named CHECK that allows a column only these values."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(value)) for value in values)})", name=name)


def equals_literal(column: InstrumentedAttribute[Any], value: StrEnum) -> ColumnElement[bool]:
    """Return `column = value` with the value in the SQL text instead of a bound parameter.

    With a parameter, neither database can tell that a partial index on this value applies.
    """
    literal: BindParameter[StrEnum] = bindparam(None, value, type_=column.type, literal_execute=True, unique=True)
    return column == literal


class EncryptedText(TypeDecorator[str]):
    """Text that only this deployment's keys decrypt; `context` names the column (see `Keyring.encrypt`).

    The keys belong to the engine, which carries them on its dialect (see `attach_keyring`). A value that no key
    decrypts raises `DecryptionError`, unless `on_decrypt_error` gives the text to return in its place.
    """

    impl = LargeBinary
    cache_ok = True

    def __init__(self, context: str, *, on_decrypt_error: str | None = None) -> None:
        super().__init__()
        self.context = context
        self.on_decrypt_error = on_decrypt_error

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        return get_keyring(dialect).encrypt(value.encode(), context=self.context.encode())

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        try:
            return self.decrypt(value, get_keyring(dialect))
        except DecryptionError:
            if self.on_decrypt_error is None:
                raise
            return self.on_decrypt_error

    def decrypt(self, value: bytes, keyring: Keyring) -> str:
        """Decrypt a value as stored.

        Raises:
            DecryptionError: none of the keys decrypts it.
        """
        return keyring.decrypt(bytes(value), context=self.context.encode()).decode()


def attach_keyring(dialect: Dialect, keyring: Keyring) -> None:
    """Give the engine of this dialect the keys for its encrypted columns."""
    dialect.mainstay_keyring = keyring  # type: ignore[attr-defined]  # a dialect takes attributes of its user


def get_keyring(dialect: Dialect) -> Keyring:
    """Return the keys of this dialect's engine.

    Raises:
        TypeError: the engine was created without keys.
    """
    keyring = getattr(dialect, "mainstay_keyring", None)
    if not isinstance(keyring, Keyring):
        raise TypeError("this engine has no keyring; create it with service.db.session.create_database_engine")
    return keyring
