"""What commands share: the container, the audit log, and the wording of counts."""

from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from service.bootstrap import build_container
from service.container import Container
from service.db.time_limits import MIGRATION_LIMITS
from service.domain.staff import write_audit_entry
from service.setting_values import SettingsError
from service.settings import DEFAULT_SQLITE_FILE, Settings, read_settings, sqlite_path

CLI_ACTOR = "command line"


def get_container(
    *, for_migration: bool = False, needs_database: bool = True, allow_short_old_keys: bool = False
) -> Container:
    """Return a container with the settings of the environment; `for_migration` without a pooler where one is set.

    Only a migration creates an SQLite file. A command that does not use the database `needs_database` not at all.
    `allow_short_old_keys` is that of `read_settings`.

    Raises:
        SettingsError: a setting is invalid, or there is no SQLite database and this command does not create one.
    """
    settings = read_settings(allow_short_old_keys=allow_short_old_keys)
    if for_migration and settings.migration_database_url is not None:
        settings = replace(settings, database_url=settings.migration_database_url)
    if needs_database:
        _check_sqlite_file(settings, is_created=for_migration)
    try:
        return build_container(settings, time_limits=MIGRATION_LIMITS if for_migration else None)
    except OSError as error:
        raise SettingsError(
            f"The folder of the database cannot be made ({error.strerror}: {error.filename}); run this in one "
            "that you may write to, or set DATABASE_URL."
        ) from error


def _check_sqlite_file(settings: Settings, *, is_created: bool) -> None:
    path = sqlite_path(settings.database_url)
    if path is None:
        return
    if not path.resolve().parent.is_dir() and path != DEFAULT_SQLITE_FILE:
        raise SettingsError(
            f"DATABASE_URL names a file in {path.resolve().parent}, which is not a folder; create it, or correct "
            "DATABASE_URL."
        )
    if not path.exists() and not is_created:
        raise SettingsError(
            f"There is no database {path}; run mainstay migrate to create it, or correct DATABASE_URL."
        )


def write_audit_log(session: Session, container: Container, action: str, details: dict[str, Any]) -> None:
    """Record an action of the command line; `details` must contain no personal data."""
    write_audit_entry(session, actor=CLI_ACTOR, action=action, details=details, now=container.clock())


def pluralise(number: int, noun: str) -> str:
    """Return the number with its noun, such as "1 reminder" or "2 reminders"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
