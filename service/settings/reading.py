"""Reading one value of the environment: trimmed, within its limits, or refused in one sentence."""

from collections.abc import Mapping
from typing import overload

from environs import Env


class SettingsError(Exception):
    """A setting has a value that the service cannot run with."""


class Given(Env):
    """Reads the values handed to it alone, so that a test never sees the machine's own environment."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__()
        self._given = values

    def _get_value(self, env_key: str, default: object) -> object:
        return self._given.get(env_key, default)


@overload
def text(env: Env, name: str, default: str) -> str: ...
@overload
def text(env: Env, name: str, default: None = None) -> str | None: ...
def text(env: Env, name: str, default: str | None = None) -> str | None:
    """Return a setting, trimmed; an empty one counts as not given, as `NAME=` in a shell means."""
    return (env.str(name, None) or "").strip() or default


def whole(env: Env, name: str, default: int, *, lowest: int, highest: int) -> int:
    """Return a whole number within its limits."""
    said = text(env, name, str(default))
    # No number that is asked for here is longer, and Python refuses to read one of thousands of digits.
    written = said.isascii() and said.isdigit() and len(said) <= 12
    if not (written and lowest <= int(said) <= highest):
        raise SettingsError(f"{name} must be a whole number from {lowest} to {highest}, not {said[:40]!r}.")
    return int(said)


def one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    """Return a word that is among the choices."""
    if value not in choices:
        raise SettingsError(f"{name} must be {' or '.join(choices)}, not {value!r}.")
    return value
