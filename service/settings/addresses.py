"""The settings that are addresses: of the database, of our own pages, and of Redis."""

from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from service.settings.reading import SettingsError


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


def sqlite_file(url: str) -> Path | None:
    """Return the file behind an SQLite URL, or None for PostgreSQL and for a database in memory."""
    path = url.removeprefix("sqlite:///").partition("?")[0]
    if not url.startswith("sqlite:///") or path in ("", ":memory:"):
        return None
    return Path(path)


def public_url(url: str, *, name_of: str = "PUBLIC_URL") -> str:
    """Return the origin that every link of ours begins with, as browsers write one; `name_of` is its setting."""
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
            f"{name_of} must be an address without a path, such as https://support.paper.example, not {url!r}."
        )
    # As browsers write an origin, so that ours can be compared with theirs.
    host = f"[{name}]" if ":" in name else name
    usual = parts.port in (None, {"http": 80, "https": 443}[parts.scheme])
    return f"{parts.scheme}://{host}" if usual else f"{parts.scheme}://{host}:{parts.port}"


def redis_url(url: str | None) -> str | None:
    """Return where the rate limits are counted, if not in each process."""
    if url is not None and not url.startswith(("redis://", "rediss://", "unix://")):
        raise SettingsError("REDIS_URL must start with redis:// or rediss://.")
    return url
