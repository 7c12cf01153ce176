"""What commands share: the container, the audit log, and the wording of counts."""

from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from service.bootstrap import build_container
from service.container import Container
from service.domain.staff import write_audit_entry
from service.settings import SettingsError, read_settings

CLI_ACTOR = "command line"


def get_container(*, for_migration: bool = False, allow_short_old_keys: bool = False) -> Container:
    """Return a container with the settings of the environment; `for_migration` without a pooler where one is set.

    `allow_short_old_keys` is that of `read_settings`.

    Raises:
        SettingsError: a setting is invalid, or the folder of the SQLite database cannot be created.
    """
    settings = read_settings(allow_short_old_keys=allow_short_old_keys)
    if for_migration and settings.migration_database_url is not None:
        settings = replace(settings, database_url=settings.migration_database_url)
    try:
        return build_container(settings)
    except OSError as error:
        raise SettingsError(
            f"DATABASE_URL names a file whose folder cannot be made ({error.strerror}: {error.filename})."
        ) from error


def write_audit_log(session: Session, container: Container, action: str, details: dict[str, Any]) -> None:
    """Record an action of the command line; `details` must contain no personal data."""
    write_audit_entry(session, actor=CLI_ACTOR, action=action, details=details, now=container.clock())


def pluralise(number: int, noun: str) -> str:
    """Return the number with its noun, such as "1 reminder" or "2 reminders"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
