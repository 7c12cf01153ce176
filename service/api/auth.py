"""Staff authentication: a bearer token (RFC 6750) with the scope that a route requires."""

import datetime
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import structlog
from flask import g, request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from schemas.enums import Scope
from service.api.blueprint import ResourceBlueprint
from service.api.problems import HTTP_PROBLEMS, ProblemException
from service.db.models.admin import StaffToken
from service.domain.staff import authenticate_token, is_use_recorded, record_token_use, write_audit_entry
from service.web import current_container, read_only, transaction

log = structlog.get_logger()

View = TypeVar("View", bound=Callable[..., Any])


def require_scope(scope: Scope) -> Callable[[View], View]:
    """Decorate a view so that it requires a staff token with this scope."""

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            authenticate_staff(scope)
            return view(*args, **kwargs)

        wrapper.staff_scope = scope  # type: ignore[attr-defined]  # a test reads the scope of each route
        documented: View = ResourceBlueprint.doc(security=[{"staff": []}])(wrapper)
        return documented

    return decorator


def authenticate_staff(scope: Scope) -> None:
    """Check that the request has a token with this scope, and remember its owner for the audit log.

    Raises:
        ProblemException: 401 without a valid token, 403 without the scope.
    """
    token = _bearer_token()
    if token is None:
        raise ProblemException(401, *HTTP_PROBLEMS[401], {"WWW-Authenticate": 'Bearer realm="mainstay"'})
    _record_use(token)
    if scope not in token.scopes:
        raise ProblemException(403, "scope_missing", f"This token lacks the scope '{scope}'.")
    g.actor = f"token {token.name} ({token.id})"


def _bearer_token() -> StaffToken | None:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credentials:
        return None
    with read_only() as session:
        return authenticate_token(session, credentials.strip())


def _record_use(token: StaffToken) -> None:
    now = current_container().clock()
    if is_use_recorded(token, now=now):
        return
    try:
        with transaction() as session:
            record_token_use(session, token, now=now)
    except SQLAlchemyError as error:
        # A database that cannot be written now can still be read.
        log.warning("token_use_not_recorded", error_class=type(error).__name__)


def current_actor() -> str:
    """Return the authenticated staff member, as the audit log names them."""
    actor: str = g.actor
    return actor


def write_audit_log(session: Session, action: str, details: dict[str, Any], *, now: datetime.datetime) -> None:
    """Record an action of the authenticated staff member; `details` must contain no personal data."""
    write_audit_entry(session, actor=current_actor(), action=action, details=details, now=now)
