"""Everything the environment decides, read once and frozen.

The names, defaults and meanings are listed in the README. A wrong value raises `SettingsError` with one
sentence that names the setting and says what it wants; the value of a secret is never repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from environs import Env, EnvError

from service.settings.addresses import database_url, public_url, redis_url, sqlite_file
from service.settings.mail import MailServer, MailSettings, mail_settings
from service.settings.reading import Given, SettingsError, one_of, text, whole
from service.settings.stripe import StripeSettings, stripe_settings

__all__ = [
    "DEMO_KEY",
    "MailServer",
    "MailSettings",
    "Settings",
    "SettingsError",
    "StripeSettings",
    "read_settings",
    "sqlite_file",
]

SHORTEST_GOOD_KEY = 32
DEMO_KEY = "mainstay-demo-key-that-protects-nothing-real"


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
    def keeps_mail(self) -> bool:
        """Whether mails stay in the database, to be read at /dev/outbox."""
        return self.mail.server is None

    @property
    def uses_short_key(self) -> bool:
        """Whether a key is so short that it could be guessed."""
        return any(len(key) < SHORTEST_GOOD_KEY for key in self.secret_keys)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environment` (default: the process's own).

    Raises:
        SettingsError: a value is missing or wrong; the message is one sentence for the operator.
    """
    env = Env() if environment is None else Given(environment)
    if environment is None:
        env.read_env(Path(".env"), recurse=False)
    try:
        return _settings(env)
    except EnvError as error:
        raise SettingsError(str(error)) from error


def _settings(env: Env) -> Settings:
    on_heroku = text(env, "DYNO") is not None
    port = whole(env, "PORT", 8000, lowest=1, highest=65535)
    database = database_url(text(env, "DATABASE_URL", "sqlite:///var/mainstay.db"))
    month = text(env, "MONTH_SECONDS")
    mail = mail_settings(env, in_a_hurry=month is not None)
    gateway = one_of("GATEWAY", text(env, "GATEWAY", "sandbox"), ("sandbox", "stripe"))
    demo = mail.server is None and database.startswith("sqlite")
    return Settings(
        database_url=database,
        mail=mail,
        public_url=public_url(text(env, "PUBLIC_URL", f"http://localhost:{port}")),
        secret_keys=_secret_keys(text(env, "SECRET_KEYS", ""), demo=demo),
        gateway=gateway,
        stripe=stripe_settings(env) if gateway == "stripe" else None,
        redis_url=redis_url(text(env, "REDIS_URL")),
        rate_limit=_rate_limit(text(env, "RATE_LIMIT", "300/minute")),
        trusted_proxies=whole(env, "TRUSTED_PROXIES", 1 if on_heroku else 0, lowest=0, highest=10),
        host=text(env, "HOST", "127.0.0.1"),
        port=port,
        web_concurrency=whole(env, "WEB_CONCURRENCY", 2, lowest=1, highest=256),
        log_level=one_of(
            "LOG_LEVEL",
            text(env, "LOG_LEVEL", "info").lower(),
            ("debug", "info", "warning", "error", "critical"),
        ),
        month_seconds=None if month is None else whole(env, "MONTH_SECONDS", 60, lowest=1, highest=2_678_400),
    )


def _secret_keys(listed: str, *, demo: bool) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in listed.split(",") if key.strip())
    if keys:
        return keys
    if demo:
        return (DEMO_KEY,)
    raise SettingsError(
        "SECRET_KEYS must be set: it encrypts readers' addresses; make one with "
        "python3 -c 'import secrets; print(secrets.token_hex(32))'."
    )


def _rate_limit(rate: str) -> str | None:
    if rate == "off":
        return None
    count, separator, period = rate.partition("/")
    number = count.isascii() and count.isdigit() and len(count) <= 12 and int(count) > 0
    if not (separator and number and period in ("second", "minute", "hour", "day")):
        raise SettingsError(f"RATE_LIMIT must be off or a rate such as 300/minute, not {rate!r}.")
    return rate
