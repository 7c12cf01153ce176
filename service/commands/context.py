"""What every command begins with: a desk on the settings of this shell, and a line in the audit log."""

from typing import Any

from sqlalchemy.orm import Session

from service.bootstrap import build_container
from service.container import Container
from service.domain.staff import write_audit_entry
from service.settings import SettingsError, read_settings

CLI_ACTOR = "command line"


def get_container() -> Container:
    """Return a desk on the settings of the environment.

    Raises:
        SettingsError: a setting is wrong, or names a folder that cannot be made.
    """
    settings = read_settings()
    try:
        return build_container(settings)
    except OSError as error:
        raise SettingsError(
            f"DATABASE_URL names a file whose folder cannot be made ({error.strerror}: {error.filename})."
        ) from error


def write_audit_log(session: Session, container: Container, action: str, details: dict[str, Any]) -> None:
    """Write down what was done from the command line; `details` must hold nothing personal."""
    write_audit_entry(session, actor=CLI_ACTOR, action=action, details=details, now=container.clock())
