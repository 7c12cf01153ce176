"""Everything the environment decides, read once and frozen.

The names, defaults and meanings are listed in the README. A wrong value raises `SettingsError` with one
sentence that names the setting and says what it wants; the value of a secret is never repeated.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from environs import Env, EnvValidationError, ValidationError, validate
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

MIN_SECRET_KEY_LENGTH = 32
DEMO_KEY = "mainstay-demo-key-that-protects-nothing-real"
TEST_KEY_PREFIXES = ("sk_test_", "rk_test_")
LIVE_KEY_PREFIXES = ("sk_live_", "rk_live_")

REDIS_URL = validate.Regexp("(redis|rediss|unix)://", error="REDIS_URL must start with redis:// or rediss://.")
RATE_LIMIT = validate.Regexp(
    r"off\Z|(?=[0-9]{1,12}/)0*[1-9][0-9]*/(second|minute|hour|day)\Z",
    error="RATE_LIMIT must be off or a rate such as 300/minute, not {input!r}.",
)
POSTMARK_LOGIN = validate.Regexp(
    "(?s)[^:]+:.",
    error="POSTMARK_WEBHOOK_LOGIN must be user:password, as in the webhook's address at Postmark.",
)


class SettingsError(Exception):
    """A setting has a value that the service cannot run with."""


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """Where `smtp` mail goes. `tls` is `starttls`, `implicit` or `none`."""

    host: str
    port: int
    tls: str
    user: str | None
    password: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class MailSettings:
    """How mails leave.

    `rate` is mails a second by all workers together, None for as fast as they can. Each worker opens
    `connections`; each carries `max_per_connection` mails and is then opened anew. `hold_uncertain` holds
    back for staff a mail that may or may not have left when its worker died. `respect_sending_hours` sends late
    mails only
    within a campaign's sending hours. A worker without a sign of life for `lease_seconds` loses what it holds.
    The last two are what two mail services must prove to report bounces; without one, its endpoint does not exist.
    """

    server: SmtpServer | None = field(repr=False)
    sender: str
    rate: float | None
    connections: int
    max_per_connection: int
    hold_uncertain: bool
    respect_sending_hours: bool
    lease_seconds: int
    postmark_credentials: str | None = field(repr=False)
    mailgun_key: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class StripeSettings:
    """Our account at Stripe. Without `webhook_secrets` nothing that Stripe sends is believed.

    More than one secret is for the day on which the secret is rolled. `api_base` is for tests alone.
    """

    secret_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    api_base: str | None

    @property
    def is_live(self) -> bool:
        """Whether the key moves real money."""
        return self.secret_key.startswith(LIVE_KEY_PREFIXES)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole configuration of one process."""

    database_url: str = field(repr=False)
    mail: MailSettings
    public_url: str
    secret_keys: tuple[str, ...] = field(repr=False)
    gateway: str
    stripe: StripeSettings | None
    redis_url: str | None = field(repr=False)
    rate_limit: str | None
    trusted_proxies: int
    host: str
    port: int
    web_concurrency: int
    log_level: str
    month_seconds: int | None

    @property
    def uses_dev_outbox(self) -> bool:
        """Whether mails stay in the database, to be read at /dev/outbox."""
        return self.mail.server is None

    @property
    def has_weak_secret_key(self) -> bool:
        """Whether a key is so short that it could be guessed."""
        return any(len(key) < MIN_SECRET_KEY_LENGTH for key in self.secret_keys)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environment` (default: the process's own).

    Raises:
        SettingsError: a value is missing or wrong; the message is one sentence for the operator.
    """
    try:
        return _settings(DictEnv(environment))
    except EnvValidationError as error:
        # The error itself holds the value, which may be a secret.
        raise SettingsError(" ".join(error.error_messages)) from None


class DictEnv(Env):
    """Reads the process's own values, or those handed to it alone, so that a test never sees the machine's.

    Each is trimmed; an empty one counts as not given, as `NAME=` in a shell means.
    """

    def __init__(self, values: Mapping[str, str] | None) -> None:
        super().__init__()
        self._given = values
        if values is None:
            self.read_env(Path(".env"), recurse=False)

    def _get_value(self, env_key: str, default: object) -> object:
        value = super()._get_value(env_key, None) if self._given is None else self._given.get(env_key)
        return (value or "").strip() or default


def _settings(env: Env) -> Settings:
    on_heroku = env.str("DYNO", None) is not None
    port = get_int(env, "PORT", 8000, minimum=1, maximum=65535)
    database = database_url(env.str("DATABASE_URL", "sqlite:///var/mainstay.db"))
    month = env.str("MONTH_SECONDS", None)
    mail = mail_settings(env, demo_clock=month is not None)
    gateway = env.str("GATEWAY", "sandbox", validate=one_of("GATEWAY", "sandbox", "stripe"))
    levels = one_of("LOG_LEVEL", "debug", "info", "warning", "error", "critical")
    demo = mail.server is None and database.startswith("sqlite")
    return Settings(
        database_url=database,
        mail=mail,
        public_url=public_url(env.str("PUBLIC_URL", f"http://localhost:{port}")),
        secret_keys=_secret_keys(env, demo=demo),
        gateway=gateway,
        stripe=stripe_settings(env) if gateway == "stripe" else None,
        redis_url=env.str("REDIS_URL", None, validate=REDIS_URL),
        rate_limit=_rate_limit(env),
        trusted_proxies=get_int(env, "TRUSTED_PROXIES", 1 if on_heroku else 0, minimum=0, maximum=10),
        host=env.str("HOST", "127.0.0.1"),
        port=port,
        web_concurrency=get_int(env, "WEB_CONCURRENCY", 2, minimum=1, maximum=256),
        log_level=env.str("LOG_LEVEL", "info", validate=lambda level: levels(level.lower())).lower(),
        month_seconds=None if month is None else get_int(env, "MONTH_SECONDS", 60, minimum=1, maximum=2_678_400),
    )


def mail_settings(env: Env, *, demo_clock: bool) -> MailSettings:
    """Read them all; in a hurry, as when a month lasts a minute, no mail waits for the morning."""
    hours = one_of("SENDING_HOURS", "campaign", "any")
    doubtful = one_of("MAIL_IN_DOUBT", "resend", "hold")
    return MailSettings(
        server=_server(env.str("MAIL_URL", "outbox:")),
        sender=_sender(env.str("MAIL_FROM", "Mainstay <support@localhost>")),
        rate=_rate(env.str("MAIL_RATE", "off")),
        connections=get_int(env, "MAIL_CONNECTIONS", 1, minimum=1, maximum=32),
        max_per_connection=get_int(env, "MAIL_PER_CONNECTION", 100, minimum=1, maximum=100_000),
        hold_uncertain=env.str("MAIL_IN_DOUBT", "resend", validate=doubtful) == "hold",
        respect_sending_hours=env.str("SENDING_HOURS", "any" if demo_clock else "campaign", validate=hours)
        == "campaign",
        lease_seconds=get_int(env, "LEASE_SECONDS", 60, minimum=10, maximum=3600),
        postmark_credentials=env.str("POSTMARK_WEBHOOK_LOGIN", None, validate=POSTMARK_LOGIN),
        mailgun_key=env.str("MAILGUN_WEBHOOK_KEY", None),
    )


def stripe_settings(env: Env) -> StripeSettings:
    """Read them all; only a service that takes money by Stripe asks."""
    key = env.str("STRIPE_SECRET_KEY", "")
    if not key.startswith(TEST_KEY_PREFIXES + LIVE_KEY_PREFIXES):
        raise SettingsError(
            "STRIPE_SECRET_KEY must be set with GATEWAY=stripe: a key that begins with sk_test_, sk_live_, "
            "rk_test_ or rk_live_."
        )
    secrets = listed(env, "STRIPE_WEBHOOK_SECRET")
    if not all(secret.startswith("whsec_") for secret in secrets):
        raise SettingsError("STRIPE_WEBHOOK_SECRET must begin with whsec_; mainstay stripe setup prints it.")
    base = env.str("STRIPE_API_BASE", None)
    return StripeSettings(
        secret_key=key,
        webhook_secrets=secrets,
        api_base=None if base is None else public_url(base, setting_name="STRIPE_API_BASE"),
    )


def get_int(env: Env, name: str, default: int, *, minimum: int, maximum: int) -> int:
    """Return a whole number within its limits."""

    def check(said: str) -> None:
        # Python reads the digits of every script, and refuses thousands of them with an error of its own.
        if not (re.fullmatch("[0-9]{1,12}", said) and minimum <= int(said) <= maximum):
            raise ValidationError(f"{name} must be a whole number from {minimum} to {maximum}, not {said[:40]!r}.")

    env.str(name, None, validate=check)
    return env.int(name, default)


def one_of(name: str, *choices: str) -> validate.OneOf:
    """Return what allows only these words."""
    return validate.OneOf(choices, error=f"{name} must be {' or '.join(choices)}, not {{input!r}}.")


def listed(env: Env, name: str) -> tuple[str, ...]:
    """Return what stands between commas, each trimmed."""
    return tuple(part.strip() for part in env.list(name, [], subcast=str) if part.strip())


def _secret_keys(env: Env, *, demo: bool) -> tuple[str, ...]:
    keys = listed(env, "SECRET_KEYS")
    if keys:
        return keys
    if demo:
        return (DEMO_KEY,)
    raise SettingsError(
        "SECRET_KEYS must be set: it encrypts readers' addresses; make one with "
        "python3 -c 'import secrets; print(secrets.token_hex(32))'."
    )


def _rate_limit(env: Env) -> str | None:
    rate = env.str("RATE_LIMIT", "300/minute", validate=RATE_LIMIT)
    return None if rate == "off" else rate


def database_url(url: str) -> str:
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


def sqlite_path(url: str) -> Path | None:
    """Return the file behind an SQLite URL, or None for PostgreSQL and for a database in memory."""
    path = url.removeprefix("sqlite:///").partition("?")[0]
    if not url.startswith("sqlite:///") or path in ("", ":memory:"):
        return None
    return Path(path)


def public_url(url: str, *, setting_name: str = "PUBLIC_URL") -> str:
    """Return the origin that every link of ours begins with, as browsers write one; `setting_name` is its
    setting.
    """
    try:
        parts = urlsplit(url)
        # Reading the port is what tells whether it is one.
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        # Mail programs look for no link in a header that is not ASCII (RFC 8058), and browsers write names so too.
        name = (parts.hostname or "").encode("idna").decode()
    except ValueError:
        sound = False
    # Pages and the widget stand at the root of their host, so an address with a path would lead nowhere.
    if not sound or "?" in url or "#" in url or parts.path.strip("/"):
        raise SettingsError(
            f"{setting_name} must be an address without a path, such as https://support.paper.example, "
            f"not {url!r}."
        )
    # As browsers write an origin, so that ours can be compared with theirs.
    host = f"[{name}]" if ":" in name else name
    usual = parts.port in (None, {"http": 80, "https": 443}[parts.scheme])
    return f"{parts.scheme}://{host}" if usual else f"{parts.scheme}://{host}:{parts.port}"


def _server(url: str) -> SmtpServer | None:
    if url in ("outbox:", "outbox"):
        return None
    usage = "MAIL_URL must be outbox: or smtp://user:password@host:port?tls=starttls, implicit or none"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"{usage}.") from error
    options = parse_qs(parts.query, keep_blank_values=True)
    tls = options.pop("tls", ["implicit" if port == 465 else "starttls"])[0]
    if parts.scheme != "smtp" or not parts.hostname or options or tls not in ("starttls", "implicit", "none"):
        raise SettingsError(f"{usage}.")
    return SmtpServer(
        host=parts.hostname,
        port=port or {"implicit": 465, "starttls": 587, "none": 25}[tls],
        tls=tls,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def _sender(sender: str) -> str:
    name, _, host = parseaddr(sender)[1].rpartition("@")
    # A host must begin like one, or the library that writes headers takes offence at every single mail.
    if not name or not host[:1].isalnum() or any(ord(sign) < 32 for sign in sender):
        raise SettingsError(
            f"MAIL_FROM must be an address such as 'The Paper <support@paper.example>', not {sender!r}."
        )
    return sender


def _rate(written: str) -> float | None:
    if written == "off":
        return None
    try:
        rate = float(written)
    except ValueError:
        rate = 0
    # The comparison is false for "nan" as well.
    if not 0.01 <= rate <= 10_000:
        raise SettingsError(f"MAIL_RATE must be off or mails a second from 0.01 to 10000, not {written[:40]!r}.")
    return rate
