"""The settings: environment variables, read once into frozen dataclasses.

The README lists the names, defaults and meanings. An invalid value raises `SettingsError` with one sentence that
names the setting and says what it expects. The value of a secret is never part of the message.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from environs import Env, EnvValidationError, validate
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from schemas.web_origins import InvalidOrigin, parse_origin
from service.loopback import is_loopback_host, is_unspecified_host
from service.mail_settings import OUTBOX_URLS, MailSettings, mail_settings
from service.production import SECRET_KEY_COMMAND, DemoSettings, configure_command, production_faults
from service.setting_values import DictEnv, SettingsError, get_int, listed, one_of

DEVELOPMENT, PRODUCTION = "development", "production"
DEFAULT_PORT = 8000
MIN_SECRET_KEY_LENGTH = 32
# Its folder is made if it is missing.
DEFAULT_SQLITE_FILE = Path("var/mainstay.db")
DEFAULT_DATABASE_URL = f"sqlite:///{DEFAULT_SQLITE_FILE}"
DEMO_KEY = "mainstay-demo-key-that-protects-nothing-real"
TEST_KEY_PREFIXES = ("sk_test_", "rk_test_")
LIVE_KEY_PREFIXES = ("sk_live_", "rk_live_")

# The options of a REDIS_URL.
REDIS_OPTIONS = {"db": "[0-9]{1,6}"}
# Managed services need these. Without TLS, the library fails at each of them.
REDIS_TLS_OPTIONS = REDIS_OPTIONS | {
    "ssl_cert_reqs": "none|optional|required",
    "ssl_check_hostname": "true|false",
    "ssl_ca_certs": ".+",
}
RATE = r"off\Z|(?=[0-9]{1,12}/)0*[1-9][0-9]*/(second|minute|hour|day)\Z"
# One address, even of an office behind one router, pledges a few times a minute.
DEFAULT_RATE_LIMIT = "60/minute"
# Far above any appeal's minute, and far below what a payment provider or a mail server would take amiss.
DEFAULT_CAMPAIGN_RATE_LIMIT = "600/minute"


@dataclass(frozen=True, kw_only=True)
class StripeSettings:
    """The Stripe account. Without `webhook_secrets`, every webhook is rejected.

    Several secrets are valid at once while a secret is rolled. `api_base` is only for tests. With
    `ends_support_on_fraud`, a fraudulent dispute of a payment ends its recurring pledge.
    """

    secret_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    api_base: str | None
    ends_support_on_fraud: bool = False

    @property
    def is_live(self) -> bool:
        """Whether the key is for live mode, which moves real money."""
        return self.secret_key.startswith(LIVE_KEY_PREFIXES)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole configuration of one process.

    Each process opens `database_pool` connections to PostgreSQL as it needs them, and up to
    `database_pool_overflow` more for as long as it needs those. `database_prepares` is `auto` or `off`.
    `migration_database_url` leads to the same database without a pooler; None means that `database_url` does.
    """

    environment: str
    database_url: str = field(repr=False)
    migration_database_url: str | None = field(default=None, repr=False)
    database_prepares: str
    database_pool: int
    database_pool_overflow: int
    mail: MailSettings
    public_url: str
    secret_keys: tuple[str, ...] = field(repr=False)
    gateway: str
    stripe: StripeSettings | None
    redis_url: str | None = field(repr=False)
    rate_limit: str | None
    campaign_rate_limit: str | None
    trusted_proxies: int
    host: str
    port: int
    web_concurrency: int
    request_timeout_seconds: int
    response_timeout_seconds: int
    database_statement_timeout_seconds: int
    database_lock_timeout_seconds: int
    log_level: str
    month_seconds: int | None

    @property
    def uses_dev_outbox(self) -> bool:
        """Whether emails are stored in the database and shown at /dev/outbox instead of being sent."""
        return self.mail.server is None

    @property
    def sandbox_recipients(self) -> tuple[str, ...] | None:
        """The only addresses that get emails about pledges in the sandbox; None if no email leaves anyway."""
        return None if self.uses_dev_outbox else self.mail.sandbox_recipients

    @property
    def is_production(self) -> bool:
        """Whether the demo, its campaign and the development outbox do not exist here."""
        return self.environment == PRODUCTION

    @property
    def is_local_only(self) -> bool:
        """Whether the web process listens for this machine only, and is not reached through a proxy."""
        return is_loopback_host(self.host) and is_loopback_host(urlsplit(self.public_url).hostname or "")


def read_settings(environment: Mapping[str, str] | None = None, *, allow_short_old_keys: bool = False) -> Settings:
    """Read the settings from `environment` (default: the process environment).

    `allow_short_old_keys` is for replacing a key that is too short by a new one.

    Raises:
        SettingsError: a value is missing or invalid, or is the demo's in production; the message has one sentence
            for the operator for each fault, on a line of its own.
    """
    env = DictEnv(environment)
    faults: list[str] = []
    try:
        faults += _start_faults(env, allow_short_old_keys=allow_short_old_keys)
        settings = _settings(env)
    except EnvValidationError as error:
        # The error contains the value, which may be a secret.
        faults.append(" ".join(error.error_messages))
    except SettingsError as error:
        faults.append(str(error))
    else:
        if not faults:
            return settings
    raise SettingsError("\n".join(dict.fromkeys(faults)))


def _is_on_heroku(env: Env) -> bool:
    return env.str("DYNO", None) is not None


def _environment(env: Env) -> str:
    default = PRODUCTION if _is_on_heroku(env) else DEVELOPMENT
    return env.str("MAINSTAY_ENV", default, validate=one_of("MAINSTAY_ENV", PRODUCTION, DEVELOPMENT))


def _start_faults(env: Env, *, allow_short_old_keys: bool) -> Iterator[str]:
    """Yield what stops the start although each value is valid; read before all is parsed, to tell all at once."""
    keys, on_heroku = listed(env, "SECRET_KEYS"), _is_on_heroku(env)
    if _environment(env) == PRODUCTION:
        demo = DemoSettings(
            uses_sqlite=env.str("DATABASE_URL", DEFAULT_DATABASE_URL).lower().startswith("sqlite"),
            has_demo_key=not keys or DEMO_KEY in keys,
            uses_dev_outbox=env.str("MAIL_URL", OUTBOX_URLS[0]) in OUTBOX_URLS,
            # The default has the port, which may be invalid itself.
            has_local_public_url=_is_local_url(env.str("PUBLIC_URL", _default_public_url(env, port=DEFAULT_PORT))),
        )
        yield from production_faults(demo, on_heroku=on_heroku)
    for key in keys[:1] if allow_short_old_keys else keys:
        if len(key) < MIN_SECRET_KEY_LENGTH:
            yield _short_key_fault(key, on_heroku=on_heroku)


def _default_public_url(env: Env, *, port: object) -> str:
    heroku_host = env.str("HEROKU_APP_DEFAULT_DOMAIN_NAME", None)
    return f"http://localhost:{port}" if heroku_host is None else f"https://{heroku_host}"


def _is_local_url(url: str) -> bool:
    try:
        # In the form that browsers read, in which no full-width digit hides a local address.
        host = urlsplit(public_url(url)).hostname or ""
    except SettingsError:
        return False
    return is_loopback_host(host) or is_unspecified_host(host)


def _short_key_fault(key: str, *, on_heroku: bool) -> str:
    return (
        f"SECRET_KEYS has a key of {len(key)} characters, which can be guessed, and each needs at least "
        f"{MIN_SECRET_KEY_LENGTH}: {configure_command(SECRET_KEY_COMMAND, on_heroku=on_heroku)}, or, if addresses "
        "are stored under the short key, put the new one before it, run mainstay keys rotate, and take it out."
    )


def _settings(env: Env) -> Settings:
    on_heroku = _is_on_heroku(env)
    environment = _environment(env)
    port = get_int(env, "PORT", DEFAULT_PORT, minimum=1, maximum=65535)
    database = database_url(env.str("DATABASE_URL", DEFAULT_DATABASE_URL))
    prepares = one_of("DATABASE_PREPARES", "auto", "off")
    month = env.str("MONTH_SECONDS", None)
    url = public_url(env.str("PUBLIC_URL", _default_public_url(env, port=env.str("PORT", str(DEFAULT_PORT)))))
    mail = mail_settings(env, public_url=url, demo_clock=month is not None)
    gateway = env.str("GATEWAY", "sandbox", validate=one_of("GATEWAY", "sandbox", "stripe"))
    levels = one_of("LOG_LEVEL", "debug", "info", "warning", "error", "critical")
    is_demo = mail.server is None and database.startswith("sqlite")
    return Settings(
        environment=environment,
        database_url=database,
        migration_database_url=_migration_database_url(env, database),
        database_prepares=env.str("DATABASE_PREPARES", "auto", validate=prepares),
        database_pool=get_int(env, "DATABASE_POOL", 4, minimum=1, maximum=100),
        # Each connection of a worker to the mail server may need two at once, one of them for its records.
        database_pool_overflow=get_int(
            env, "DATABASE_POOL_OVERFLOW", 2 * mail.connections, minimum=0, maximum=200
        ),
        mail=mail,
        public_url=url,
        # In production, a missing key is one of the faults that stop the start.
        secret_keys=_secret_keys(env, default_to_demo_key=is_demo or environment == PRODUCTION),
        gateway=gateway,
        stripe=stripe_settings(env) if gateway == "stripe" else None,
        redis_url=redis_url(env.str("REDIS_URL", None)),
        rate_limit=_rate_limit(env, "RATE_LIMIT", DEFAULT_RATE_LIMIT),
        campaign_rate_limit=_rate_limit(env, "CAMPAIGN_RATE_LIMIT", DEFAULT_CAMPAIGN_RATE_LIMIT),
        trusted_proxies=get_int(env, "TRUSTED_PROXIES", 1 if on_heroku else 0, minimum=0, maximum=10),
        # An IPv6 address may be written as in a URL.
        host=env.str("HOST", "127.0.0.1").removeprefix("[").removesuffix("]"),
        port=port,
        web_concurrency=get_int(env, "WEB_CONCURRENCY", 2, minimum=1, maximum=256),
        request_timeout_seconds=get_int(env, "REQUEST_TIMEOUT", 30, minimum=1, maximum=3600),
        response_timeout_seconds=get_int(env, "RESPONSE_TIMEOUT", 30, minimum=1, maximum=3600),
        database_statement_timeout_seconds=get_int(env, "DATABASE_STATEMENT_TIMEOUT", 10, minimum=1, maximum=3600),
        database_lock_timeout_seconds=get_int(env, "DATABASE_LOCK_TIMEOUT", 3, minimum=1, maximum=3600),
        log_level=env.str("LOG_LEVEL", "info", validate=lambda level: levels(level.lower())).lower(),
        month_seconds=None if month is None else get_int(env, "MONTH_SECONDS", 60, minimum=1, maximum=2_678_400),
    )


def stripe_settings(env: Env) -> StripeSettings:
    """Read the Stripe settings, which are required with GATEWAY=stripe."""
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
    ends_support = one_of("DISPUTE_ENDS_SUPPORT", "never", "fraudulent")
    return StripeSettings(
        secret_key=key,
        webhook_secrets=secrets,
        api_base=None if base is None else public_url(base, setting_name="STRIPE_API_BASE"),
        ends_support_on_fraud=env.str("DISPUTE_ENDS_SUPPORT", "never", validate=ends_support) == "fraudulent",
    )


def _secret_keys(env: Env, *, default_to_demo_key: bool) -> tuple[str, ...]:
    keys = listed(env, "SECRET_KEYS")
    if keys:
        return keys
    if default_to_demo_key:
        return (DEMO_KEY,)
    raise SettingsError(
        "SECRET_KEYS must be set: it encrypts readers' addresses; make one with "
        "python3 -c 'import secrets; print(secrets.token_hex(32))'."
    )


def _rate_limit(env: Env, name: str, default: str) -> str | None:
    error = f"{name} must be off or a rate such as {default}, not {{input!r}}."
    rate = env.str(name, default, validate=validate.Regexp(RATE, error=error))
    return None if rate == "off" else rate


def _migration_database_url(env: Env, database: str) -> str | None:
    given = env.str("MIGRATION_DATABASE_URL", None)
    if given is None:
        return None
    url = database_url(given, setting_name="MIGRATION_DATABASE_URL")
    if url.startswith("sqlite") or database.startswith("sqlite"):
        raise SettingsError(
            "MIGRATION_DATABASE_URL must lead to the PostgreSQL database of DATABASE_URL, without its pooler."
        )
    return url


def database_url(url: str, *, setting_name: str = "DATABASE_URL") -> str:
    """Return the URL with the driver that is installed; accepts Heroku's `postgres://` too."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    try:
        host = make_url(url).host or ""
    except (ArgumentError, ValueError):
        host = separator = ""
    if "@" in host:
        # What is taken for the host begins with the rest of the password.
        raise SettingsError(f"{setting_name} has an @ in its user or password; write it as %40.")
    if scheme in ("postgres", "postgresql", "postgresql+psycopg") and separator:
        return f"postgresql+psycopg://{rest}"
    if scheme in ("sqlite", "sqlite+pysqlite") and separator:
        return f"sqlite://{rest}"
    raise SettingsError(
        f"{setting_name} must start with postgresql:// or sqlite:///, as in postgresql://user:password@host/name."
    )


def redis_url(url: str | None) -> str | None:
    """Return the URL of a Redis that the library can use.

    Raises:
        SettingsError: it is not such a URL. The message does not repeat it, because it may contain a password.
    """
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        # The library knows the schemes only in lower case.
        url = f"{parts.scheme}{url[len(parts.scheme) :]}"
        # Reading the port validates it, and so does encoding the host name.
        is_tcp = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")
        is_socket = parts.scheme == "unix" and not parts.hostname and len(parts.path) > 1
        database = parts.path.strip("/") if is_tcp else ""
        valid = (is_tcp or is_socket) and re.fullmatch("[0-9]{0,6}", database) and not parts.fragment
        options = parse_qs(parts.query, keep_blank_values=True)
    except ValueError:
        valid, options = None, {}
    allowed = REDIS_TLS_OPTIONS if url.startswith("rediss:") else REDIS_OPTIONS
    known = all(re.fullmatch(allowed.get(name, "(?!)"), values[-1]) for name, values in options.items())
    if not valid or not known:
        raise SettingsError(
            "REDIS_URL must be redis://:password@host:port/0, rediss:// for TLS, or unix:///path/to/socket?db=0."
        )
    return url


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite URL, or None for PostgreSQL and in-memory databases."""
    path, _, query = url.removeprefix("sqlite:///").partition("?")
    if not url.startswith("sqlite:///") or path in ("", ":memory:"):
        return None
    # SQLite reads a name as a URI only if the URL says so.
    is_uri = path.startswith("file:") and "uri=true" in query
    return Path(unquote(path.removeprefix("file:"))) if is_uri else Path(path)


def public_url(url: str, *, setting_name: str = "PUBLIC_URL") -> str:
    """Return the origin of a URL in the form that browsers use; `setting_name` is for error messages.

    Raises:
        SettingsError: it is not an http or https URL, or has a user, path, query or fragment.
    """
    # The message does not repeat them.
    if "@" in url:
        raise SettingsError(
            f"{setting_name} must be an address without a user name and password, such as "
            "https://support.paper.example."
        )
    try:
        # The form in which browsers send an Origin header, so that both can be compared.
        origin = parse_origin(url.rstrip("/"))
        valid = origin != "*" and urlsplit(origin).port != 0
    except InvalidOrigin:
        valid = False
    # Pages and the widget are served from the root of the host, so a path would break every link.
    if not valid:
        raise SettingsError(
            f"{setting_name} must be an address without a path, such as https://support.paper.example, "
            f"not {url!r}."
        )
    return origin
