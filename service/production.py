"""What stops the start in production: settings that suit the demo, and would lose or expose data there."""

from collections.abc import Iterator
from dataclasses import dataclass

POSTGRESQL_COMMAND = "DATABASE_URL=postgresql://user:password@host/name"
SECRET_KEY_COMMAND = "SECRET_KEYS=$(openssl rand -hex 32)"  # noqa: S105 - the command makes a key and is none
MAIL_COMMAND = "MAIL_URL='smtp://user:password@host:587?tls=starttls'"
PUBLIC_URL_COMMAND = "PUBLIC_URL=https://support.paper.example"


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Which settings are those of the demo."""

    uses_sqlite: bool
    has_demo_key: bool
    uses_dev_outbox: bool
    has_local_public_url: bool


def configure_command(assignment: str, *, on_heroku: bool) -> str:
    """Return how to set an environment variable, to follow a colon in a sentence."""
    return f"run heroku config:set {assignment}" if on_heroku else f"set {assignment}"


def production_faults(demo: DemoSettings, *, on_heroku: bool) -> Iterator[str]:
    """Yield for each fault a sentence with the command that mends it."""
    if demo.uses_sqlite:
        add_on = "run heroku addons:create heroku-postgresql:essential-0, or with a database of your own "
        command = configure_command(POSTGRESQL_COMMAND, on_heroku=on_heroku)
        reason = "DATABASE_URL must be a PostgreSQL database in production, because SQLite is lost with its disk"
        yield f"{reason}: {add_on if on_heroku else ''}{command}."
    if demo.has_demo_key:
        command = configure_command(SECRET_KEY_COMMAND, on_heroku=on_heroku)
        yield f"SECRET_KEYS must be a key of your own in production, because everyone knows the demo's: {command}."
    if demo.uses_dev_outbox:
        command = configure_command(MAIL_COMMAND, on_heroku=on_heroku)
        yield f"MAIL_URL must be a mail server in production, because the outbox sends nothing: {command}."
    if demo.has_local_public_url:
        command = configure_command(PUBLIC_URL_COMMAND, on_heroku=on_heroku)
        reason = (
            "PUBLIC_URL must be the public address of this service in production, because links in emails use it"
        )
        yield f"{reason}: {command}."
