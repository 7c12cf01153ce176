"""Reading environment variables: what all groups of settings have in common."""

import re
from collections.abc import Mapping
from pathlib import Path

from environs import Env, ValidationError, validate


class SettingsError(Exception):
    """A setting is missing or has an invalid value."""


class DictEnv(Env):
    """Reads the process environment, or only the given mapping, so that tests ignore the machine's environment.

    Values are trimmed, and an empty value counts as unset.
    """

    def __init__(self, values: Mapping[str, str] | None) -> None:
        super().__init__()
        self._mapping = values
        if values is None:
            self.read_env(Path(".env"), recurse=False)

    def _get_value(self, env_key: str, default: object) -> object:
        value = super()._get_value(env_key, None) if self._mapping is None else self._mapping.get(env_key)
        return (value or "").strip() or default


def get_int(env: Env, name: str, default: int, *, minimum: int, maximum: int) -> int:
    """Return an integer setting within its limits."""

    def check(text: str) -> None:
        # `int` also accepts the digits of other scripts, and raises an error of its own for thousands of digits.
        if not (re.fullmatch("[0-9]{1,12}", text) and minimum <= int(text) <= maximum):
            raise ValidationError(f"{name} must be a whole number from {minimum} to {maximum}, not {text[:40]!r}.")

    env.str(name, None, validate=check)
    return env.int(name, default)


def one_of(name: str, *choices: str) -> validate.OneOf:
    """Return a validator that allows only these values."""
    return validate.OneOf(choices, error=f"{name} must be {' or '.join(choices)}, not {{input!r}}.")


def listed(env: Env, name: str) -> tuple[str, ...]:
    """Return the items of a comma-separated list, trimmed and without empty ones."""
    return tuple(part.strip() for part in env.list(name, [], subcast=str) if part.strip())
