"""Everything the environment decides, read once and frozen.

The names, defaults and meanings are listed in the README. A wrong value raises `SettingsError` with one
sentence that names the setting and says what it wants; the value of a secret is never repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from typing import overload
from urllib.parse import parse_qs, unquote, urlsplit

from environs import Env, EnvError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

SHORTEST_GOOD_KEY = 32
DEMO_KEY = "mainstay-demo-key-that-protects-nothing-real"


class SettingsError(Exception):
    """A setting has a value that the service cannot run with."""


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """Where `smtp` mail goes. `tls` is `starttls`, `implicit` or `none`."""

    host: str
    port: int
    tls: str
    user: str | None
    password: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole configuration of one process."""

    database_url: str = field(repr=False)
    mail_server: MailServer | None = field(repr=False)
    mail_from: str
    public_url: str
    secret_keys: tuple[str, ...] = field(repr=False)
    gateway: str
    redis_url: str | None = field(repr=False)
    rate_limit: str | None
    trusted_proxies: int
    host: str
    port: int
    web_concurrency: int
    log_level: str
    month_seconds: int | None

    @property
    def keeps_mail(self) -> bool:
        """Whether mails stay in the database, to be read at /dev/outbox."""
        return self.mail_server is None

    @property
    def uses_short_key(self) -> bool:
        """Whether a key is so short that it could be guessed."""
        return any(len(key) < SHORTEST_GOOD_KEY for key in self.secret_keys)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environment` (default: the process's own).

    Raises:
        SettingsError: a value is missing or wrong; the message is one sentence for the operator.
    """
    env = Env() if environment is None else _Given(environment)
    if environment is None:
        env.read_env(Path(".env"), recurse=False)
    try:
        return _settings(env)
    except EnvError as error:
        raise SettingsError(str(error)) from error


class _Given(Env):
    """Reads the values handed to it alone, so that a test never sees the machine's own environment."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__()
        self._given = values

    def _get_value(self, env_key: str, default: object) -> object:
        return self._given.get(env_key, default)


@overload
def _text(env: Env, name: str, default: str) -> str: ...
@overload
def _text(env: Env, name: str, default: None = None) -> str | None: ...
def _text(env: Env, name: str, default: str | None = None) -> str | None:
    """Return a setting, trimmed; an empty one counts as not given, as `NAME=` in a shell means."""
    return (env.str(name, None) or "").strip() or default


def _settings(env: Env) -> Settings:
    on_heroku = _text(env, "DYNO") is not None
    port = _whole(env, "PORT", 8000, lowest=1, highest=65535)
    database_url = _database_url(_text(env, "DATABASE_URL", "sqlite:///var/mainstay.db"))
    mail_server = _mail_server(_text(env, "MAIL_URL", "outbox:"))
    demo = mail_server is None and database_url.startswith("sqlite")
    month = _text(env, "MONTH_SECONDS")
    return Settings(
        database_url=database_url,
        mail_server=mail_server,
        mail_from=_mail_from(_text(env, "MAIL_FROM", "Mainstay <support@localhost>")),
        public_url=_public_url(_text(env, "PUBLIC_URL", f"http://localhost:{port}")),
        secret_keys=_secret_keys(_text(env, "SECRET_KEYS", ""), demo=demo),
        gateway=_one_of("GATEWAY", _text(env, "GATEWAY", "sandbox"), ("sandbox",)),
        redis_url=_redis_url(_text(env, "REDIS_URL")),
        rate_limit=_rate_limit(_text(env, "RATE_LIMIT", "300/minute")),
        trusted_proxies=_whole(env, "TRUSTED_PROXIES", 1 if on_heroku else 0, lowest=0, highest=10),
        host=_text(env, "HOST", "127.0.0.1"),
        port=port,
        web_concurrency=_whole(env, "WEB_CONCURRENCY", 2, lowest=1, highest=256),
        log_level=_one_of(
            "LOG_LEVEL",
            _text(env, "LOG_LEVEL", "info").lower(),
            ("debug", "info", "warning", "error", "critical"),
        ),
        month_seconds=None if month is None else _whole(env, "MONTH_SECONDS", 60, lowest=1, highest=2_678_400),
    )


def _whole(env: Env, name: str, default: int, *, lowest: int, highest: int) -> int:
    text = _text(env, name, str(default))
    # No number that is asked for here is longer, and Python refuses to read one of thousands of digits.
    written = text.isascii() and text.isdigit() and len(text) <= 12
    if not (written and lowest <= int(text) <= highest):
        raise SettingsError(f"{name} must be a whole number from {lowest} to {highest}, not {text[:40]!r}.")
    return int(text)


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise SettingsError(f"{name} must be {' or '.join(choices)}, not {value!r}.")
    return value


def _database_url(url: str) -> str:
    """Accept what Heroku writes (`postgres://`) and name the driver that we ship with."""
    scheme, separator, rest = url.partition("://")
    try:
        make_url(url)
    except (ArgumentError, ValueError):
        separator = ""
    if scheme in ("postgres", "postgresql", "postgresql+psycopg") and separator:
        return f"postgresql+psycopg://{rest}"
    if scheme in ("sqlite", "sqlite+pysqlite") and separator:
        return f"sqlite://{rest}"
    raise SettingsError(
        "DATABASE_URL must start with postgresql:// or sqlite:///, as in postgresql://user:password@host/name."
    )


def sqlite_file(database_url: str) -> Path | None:
    """Return the file behind an SQLite URL, or None for PostgreSQL and for a database in memory."""
    path = database_url.removeprefix("sqlite:///").partition("?")[0]
    if not database_url.startswith("sqlite:///") or path in ("", ":memory:"):
        return None
    return Path(path)


def _mail_server(url: str) -> MailServer | None:
    if url in ("outbox:", "outbox"):
        return None
    wish = "MAIL_URL must be outbox: or smtp://user:password@host:port?tls=starttls, implicit or none"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"{wish}.") from error
    options = parse_qs(parts.query, keep_blank_values=True)
    tls = options.pop("tls", ["implicit" if port == 465 else "starttls"])[0]
    if parts.scheme != "smtp" or not parts.hostname or options or tls not in ("starttls", "implicit", "none"):
        raise SettingsError(f"{wish}.")
    return MailServer(
        host=parts.hostname,
        port=port or {"implicit": 465, "starttls": 587, "none": 25}[tls],
        tls=tls,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def _mail_from(text: str) -> str:
    if "@" not in parseaddr(text)[1] or any(ord(sign) < 32 for sign in text):
        raise SettingsError(
            f"MAIL_FROM must be an address such as 'The Paper <support@paper.example>', not {text!r}."
        )
    return text


def _public_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        # Reading the port is what tells whether it is one.
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    # Pages and the widget stand at the root of their host, so an address with a path would lead nowhere.
    if not sound or "?" in url or "#" in url or parts.path.strip("/"):
        raise SettingsError(
            f"PUBLIC_URL must be an address without a path, such as https://support.paper.example, not {url!r}."
        )
    # As browsers write an origin, so that ours can be compared with theirs.
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    usual = parts.port in (None, {"http": 80, "https": 443}[parts.scheme])
    return f"{parts.scheme}://{host}" if usual else f"{parts.scheme}://{host}:{parts.port}"


def _secret_keys(text: str, *, demo: bool) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    if keys:
        return keys
    if demo:
        return (DEMO_KEY,)
    raise SettingsError(
        "SECRET_KEYS must be set: it encrypts readers' addresses; make one with "
        "python3 -c 'import secrets; print(secrets.token_hex(32))'."
    )


def _redis_url(url: str | None) -> str | None:
    if url is not None and not url.startswith(("redis://", "rediss://", "unix://")):
        raise SettingsError("REDIS_URL must start with redis:// or rediss://.")
    return url


def _rate_limit(text: str) -> str | None:
    if text == "off":
        return None
    count, separator, period = text.partition("/")
    number = count.isascii() and count.isdigit() and len(count) <= 12 and int(count) > 0
    if not (separator and number and period in ("second", "minute", "hour", "day")):
        raise SettingsError(f"RATE_LIMIT must be off or a rate such as 300/minute, not {text!r}.")
    return text
