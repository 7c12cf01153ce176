"""What every command begins with: a desk on the settings of this shell, and a line in the audit log."""

from typing import Any

from sqlalchemy.orm import Session

from service.desk import Desk
from service.domain.staff import write_audit
from service.settings import read_settings
from service.wiring import build_desk

COMMAND_LINE = "command line"


def open_desk() -> Desk:
    """Return a desk on the settings of the environment."""
    return build_desk(read_settings())


def audit(session: Session, desk: Desk, action: str, details: dict[str, Any]) -> None:
    """Write down what was done from the command line; `details` must hold nothing personal."""
    write_audit(session, actor=COMMAND_LINE, action=action, details=details, now=desk.clock())
